"""A sandbox on a socket, as on its first morning for each test."""

from collections.abc import Iterator

import pytest

from bot.atlassian.directory import AtlassianDirectory
from bot.clients import Clients
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.org_world import World, world_on_a_socket
from tests.support.reach import POLICY, clients


@pytest.fixture(scope="session")
def served() -> Iterator[World]:
    with world_on_a_socket() as world:
        yield world


@pytest.fixture
def world(served: World) -> World:
    served.control.reset()
    return served


@pytest.fixture(scope="module")
def reached() -> Iterator[tuple[Clients, AtlassianControl]]:
    with running() as base, AtlassianControl(base) as control:
        made = clients(base)
        yield made, control
        made.close()


@pytest.fixture
def there(reached: tuple[Clients, AtlassianControl]) -> tuple[AtlassianDirectory, AtlassianControl]:
    """The first morning, and a directory that remembers nothing."""
    made, control = reached
    control.reset()
    return AtlassianDirectory(made, POLICY), control
