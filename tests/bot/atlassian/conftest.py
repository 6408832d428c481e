"""A sandbox on a socket, as on its first morning for each test."""

from collections.abc import Iterator

import pytest

from tests.support.org_world import World, world_on_a_socket


@pytest.fixture(scope="session")
def served() -> Iterator[World]:
    with world_on_a_socket() as world:
        yield world


@pytest.fixture
def world(served: World) -> World:
    served.control.reset()
    return served
