"""Runs the floor on the same server with the same settings as the bot."""

import sys

from gunicorn.app.base import BaseApplication

from bot.sandbox import seed
from tests.bench.floor import Floor


class FloorServer(BaseApplication):  # type: ignore[misc]
    """gunicorn, one worker, sixteen threads."""

    def load_config(self) -> None:
        options = {"bind": f"127.0.0.1:{sys.argv[1]}", "workers": 1, "worker_class": "gthread", "threads": 16}
        for name, value in {**options, "loglevel": "critical", "control_socket_disable": True, "timeout": 0}.items():
            self.cfg.set(name, value)

    def load(self) -> Floor:
        return Floor(sys.argv[2], seed.SLACK_SIGNING_SECRET)


if __name__ == "__main__":
    FloorServer().run()
