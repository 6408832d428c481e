"""The whole bot in this process, on real sockets: both sandboxes, the web side and the worker's threads."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from approvals.database import Database
from approvals.policy import Policy
from approvals.policy_book import adopt_first
from approvals.store import Actor, Store
from bot.app import House, build
from bot.people_import import apply, read_csv
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running as atlassian_running
from bot.sandbox.slack.control import SlackControl
from bot.sandbox.slack.server import running as slack_running
from bot.settings import Settings
from bot.slack_budget import Budget
from bot.web import Web
from tests.support.mornings import begin_like_before, keep
from tests.support.policies import roomy
from tests.support.settings import settings_for, site_settings


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Living:
    """A running bot and both sides of its world."""

    house: House
    slack: SlackControl
    atlassian: AtlassianControl
    url: str

    @property
    def store(self) -> Store:
        return self.house.store


@contextmanager
def living(
    database_url: str,
    *,
    policy: str | None = None,
    limits: bool = False,
    works: bool = True,
    socket: bool = False,
    site: bool = False,
    **more: str,
) -> Iterator[Living]:
    """Everything, started and talked to over real sockets; with ``site`` it has the key of the Jira site too.

    ``limits`` switches Slack's rate limits and our budget on; with ``socket`` Slack comes by Socket Mode only.
    """
    text = policy or roomy()
    with ExitStack() as stack:
        slack = stack.enter_context(slack_running(rate_limits=limits))
        atlassian = stack.enter_context(atlassian_running())
        more |= site_settings(atlassian) if site else {}
        settings = settings_for(slack, atlassian, database_url, socket=socket, **more)
        known = begin_like_before(database_url, f"the whole company, {text}")
        if not known:
            _write_the_first_morning(settings, text)
        house = build(settings, budget=None if limits else Budget({}))
        stack.callback(house.close)
        if not known:
            house.mirror.start()
            house.worker.run_until_idle()
            keep(database_url, f"the whole company, {text}")
        url = stack.enter_context(_web(house))
        control = SlackControl(slack)
        stack.callback(control.close)
        if house.socket is None:
            control.connect(f"{url}/slack/events")
        else:
            stack.callback(house.socket.stop, patience=10)
            house.socket.start()
            until(lambda: house.socket is not None and house.socket.connected)
        if works:
            house.worker.start()
            stack.callback(lambda: house.worker.stop(patience=10))
        yield Living(house, control, stack.enter_context(AtlassianControl(atlassian)), url)


def _write_the_first_morning(settings: Settings, policy: str) -> None:
    database = Database(settings.database_url.get_secret_value())
    store = Store(database, movable_time=True)
    adopt_first(store, policy, Policy.parse(policy))
    apply(store, read_csv(seed.people_csv()), actor=Actor("test"), move=False, dry=False)
    database.close()


def until(so: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until something is so; how long it takes is no matter, that it comes is."""
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come")
        time.sleep(0.01)


@contextmanager
def _web(house: House) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, Web(house), server_class=_Server, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
