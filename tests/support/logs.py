"""What tests do with the log: structlog's own colours draw each traceback with all its variables, for a second each."""

import logging

import structlog


def plain_logs() -> None:
    """Lines of keys and values, and tracebacks as Python prints them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(),  # what is not said here stays as it was set before
    )
