"""The Atlassian sandbox in process: a fresh organization for each test, without a socket."""

from collections.abc import Iterator

import httpx
import pytest

from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import create_app
from tests.support.atlassian_api import Api, InProcess


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcess(create_app()), base_url="http://sandbox.test") as client:
        yield client


@pytest.fixture
def api(client: httpx.Client) -> Api:
    return Api(client)


@pytest.fixture
def control(client: httpx.Client) -> AtlassianControl:
    return AtlassianControl("http://sandbox.test", client)
