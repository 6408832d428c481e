"""A port of its own for health and figures: it shows those, opens no door, and Slack's side shows none of them."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bot.side_port import serve_beside
from bot.web import Web
from tests.support.house import ROOT
from tests.support.living import living
from tests.support.outside import copied, free_port


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False, timeout=30)


def test_it_shows_health_and_figures_and_has_no_door(migrated_file: Path, tmp_path: Path) -> None:
    beside = free_port()
    with living(copied(migrated_file, tmp_path), works=False, METRICS_PORT=str(beside), METRICS_TOKEN="m" * 20) as bot:
        serve_beside(Web(bot.house, aside=True), "127.0.0.1", beside)
        url = f"http://127.0.0.1:{beside}"
        assert get(f"{url}/healthz").text == "ok\n"
        assert get(f"{url}/readyz").json()["ready"] is True
        assert get(f"{url}/metrics").status_code == 401
        assert "gatehouse_jobs{" in get(f"{url}/metrics", Authorization="Bearer " + "m" * 20).text
        for door in ("/slack/events", "/incidents"):
            assert httpx.post(f"{url}{door}", content=b"x", trust_env=False).status_code == 404
        assert get(f"{bot.url}/metrics", Authorization="Bearer " + "m" * 20).status_code == 404, "not where Slack is"
        assert get(f"{bot.url}/healthz").status_code == 200
        assert get(f"{bot.url}/readyz").status_code == 200


@pytest.mark.parametrize("serves", [True, False])
def test_a_supervisor_is_told_by_the_status(serves: bool) -> None:
    port = free_port()
    if serves:
        serve_beside(lambda environ, start: (start("200 OK", []), [b"ok\n"])[1], "127.0.0.1", port)
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "healthy", "--port", str(port)],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "HTTP_PROXY": "http://127.0.0.1:1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if serves else 1)
    assert ("does not answer" in done.stderr) != serves
