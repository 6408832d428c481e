"""Labelled points between which a crash must lose nothing; empty unless a test sets the hook."""

from collections.abc import Callable


def _nothing(label: str) -> None:
    return None


_hook: Callable[[str], None] = _nothing


def set_hook(hook: Callable[[str], None]) -> None:
    """Only the test entry point calls this; no setting and no environment variable does."""
    global _hook
    _hook = hook


def crash_point(label: str) -> None:
    """Mark a moment before or after a commit or an outward call."""
    _hook(label)
