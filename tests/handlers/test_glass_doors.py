"""What an offer looks like: whose address it leads to can be read, and what a tool says is text."""

import json
from typing import Any

import pytest

from handlers.cards import Drawing
from handlers.glass_doors import OPEN, TAKE, host_of
from handlers.news import draw_news
from tests.handlers.mrkdwn import insist_it_can_be_sent
from tests.handlers.views import AUDIT_LOG, news_of


def offer(kind: str = "offer", **facts: str) -> Drawing:
    news = news_of(kind, "ordinary words")
    news.facts = json.dumps(json.loads(news.facts) | {"id": "OFF-1"} | facts)
    return draw_news(news, None, audit_log=AUDIT_LOG)


def buttons(drawing: Drawing) -> list[dict[str, Any]]:
    return [element for block in drawing.blocks if block["type"] == "actions" for element in block["elements"]]


@pytest.mark.parametrize("kind", ["offer", "offer_to_nobody"])
def test_it_carries_an_opaque_id_and_says_where_its_link_leads(kind: str) -> None:
    drawing = offer(kind, incident="INC-42", title="R&D waits", link="https://Status.Example:8443/i/42?x=1")
    insist_it_can_be_sent(drawing)
    assert "*INC-42*: R&amp;D waits" in drawing.text.replace("\u2060", "")
    assert "gives nothing" in drawing.text
    take, leads = buttons(drawing)
    assert (take["action_id"], take["value"], take["style"]) == (TAKE, "OFF-1", "danger")
    assert (leads["action_id"], leads["text"]["text"]) == (OPEN, "Open it at status.example")
    assert leads["url"] == "https://Status.Example:8443/i/42?x=1"
    assert set(leads) == {"type", "action_id", "text", "url"}


@pytest.mark.parametrize(
    "link",
    [
        "",
        "http://status.example",
        "javascript:alert(1)",
        "https://good.example@evil.example/",
        "https://x y/",
        "https://",
    ],
)
def test_what_is_no_address_is_no_button(link: str) -> None:
    assert [button["action_id"] for button in buttons(offer(link=link))] == [TAKE]
    assert host_of(link) == ""


def test_the_longest_host_stands_on_its_button_whole() -> None:
    host = "a" * 52 + ".example"
    assert host_of(f"https://{host}/") == host
    assert buttons(offer(link=f"https://{host}/"))[1]["text"]["text"] == f"Open it at {host}"
    assert host_of(f"https://a{host}/") == ""
