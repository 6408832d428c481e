"""The server: one small process that listens and starts another, which has everything in it and serves.

The first one holds the port and begins anew whatever dies; for months it does nothing else, so it loads nothing else.
"""

import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from bot.addresses import listening_at
from bot.stopping import STOPS_WITHIN

if TYPE_CHECKING:  # loaded after the fork
    from bot.app import House
    from bot.web import Web

DRAINS = 3  # seconds for requests that are being answered
NOT_BUILT = Arbiter.APP_LOAD_ERROR  # the status with which the one that serves ends, and then the whole server


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with one worker and many threads; the job threads live and die with it.

    ``build`` makes the house, in the worker, for neither threads nor connections survive a fork; None where it has
    said what stands in its way.
    """

    def __init__(self, build: "Callable[[], House | None]", *, host: str, port: int, works: bool) -> None:
        self._build = build
        self._works = works
        self._house: House | None = None
        self._stops_at: float | None = None  # monotonic seconds, once it was told to stop
        self._options = {
            "bind": listening_at(host, port),
            "workers": 1,
            "worker_class": "gthread",
            "threads": 16,
            "graceful_timeout": 9,  # then the worker is killed, whatever it does
            "timeout": 0,  # the worker is not restarted under load; its health is watched from outside
            "keepalive": 5,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "critical",  # what is not well-formed HTTP is refused without a word
            "control_socket_disable": True,
            "post_worker_init": self._of_worker,
            "worker_exit": lambda server, worker: self.stopped(),
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> "Web":
        from bot.web import Web

        self._house = self._build()
        if self._house is None:
            sys.exit(NOT_BUILT)
        return Web(self._house)

    def _of_worker(self, worker: Any) -> None:
        """In the process that serves: its share of the time to stop, and the jobs are told at the signal itself."""
        worker.cfg.set("graceful_timeout", DRAINS)
        before = signal.getsignal(signal.SIGTERM)

        def told(number: int, frame: Any) -> None:
            self._stops_at = time.monotonic() + STOPS_WITHIN
            if self._works and self._house is not None:
                self._house.worker.halt()
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, told)
        signal.siginterrupt(signal.SIGTERM, False)
        self.started()

    def started(self) -> None:
        import structlog

        from bot.memory import stay_small
        from bot.side_port import serve_beside
        from bot.web import Web

        house = self._house
        if house is None:
            return
        beside = house.settings.metrics_port
        if beside is not None:
            serve_beside(Web(house, aside=True), house.settings.host, beside)
        stay_small()
        structlog.get_logger().info(
            "listening", bind=self._options["bind"], works=self._works, database=house.database.journal
        )
        if self._works:
            if house.database.is_sqlite:
                house.store.take_over()
            house.start()
        if house.socket is not None:
            house.socket.start()

    def stopped(self) -> None:
        house = self._house
        if house is None:
            return
        if house.socket is not None:
            house.socket.stop(patience=min(3.0, self._left()))
        if self._works:
            house.worker.stop(patience=self._left())

    def _left(self) -> float:
        """Seconds, since the signal, for the steps at hand."""
        return STOPS_WITHIN if self._stops_at is None else max(0.0, self._stops_at - time.monotonic())
