"""The stand-in on a socket, empty for each test."""

from collections.abc import Iterator

import pytest

from bot.sandbox.atlassian.server import running
from bot.sandbox.oncall.control import OnCallControl
from bot.sandbox.oncall.server import create_app
from tests.support.on_call import StandIn


@pytest.fixture(scope="session")
def served() -> Iterator[StandIn]:
    with running(create_app()) as url, OnCallControl(url) as control:
        yield StandIn(url, control)


@pytest.fixture
def there(served: StandIn) -> StandIn:
    served.control.reset()
    return served
