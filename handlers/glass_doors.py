"""The other doors to break-glass: a message's shortcut, and the button of what an incident tool has announced."""

import re
from collections.abc import Iterator
from typing import Any

from approvals.glass import Wanted
from approvals.models import Offer
from handlers.breakglass import begin, button, value_of
from handlers.clicks import clicker, say_unless_open
from handlers.desk import Desk
from handlers.glass_words import incident_in
from handlers.text import esc, plain

HERE = "break_glass_here"  # the message shortcut
TAKE, OPEN = "glass_offer", "glass_offer_link"
NO_SUCH_OFFER = "That incident is not known here any more. Type `/breakglass`, which asks for everything."
# An address that people may be sent to: https, a plain host that fits onto a button whole, nothing that is no ASCII.
ADDRESS = re.compile(r"https://([A-Za-z0-9](?:[A-Za-z0-9.-]{0,58}[A-Za-z0-9])?)(?::[0-9]{1,5})?(?:[/?][!-~]*)?")
LONGEST_ADDRESS = 500
Block = dict[str, Any]
Facts = dict[str, Any]


def here(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The message shortcut: the form with the incident that the message or the channel names, anchored there."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        channel, message = body["channel"], body["message"]
        with desk.store.read() as session:
            incident = incident_in(desk.policy(session), *_texts(message), str(channel.get("name") or ""))
        place = "" if channel["id"].startswith("D") else channel["id"]  # of two people's own: the bot can't write there
        thread = str(message.get("thread_ts") or message.get("ts") or "") if place else ""
        wanted = Wanted("", incident, "", source, place, thread)
        say_unless_open(desk, speaker, body, begin(desk, speaker, wanted, body["trigger_id"]), source)
    ack()


def _texts(message: dict[str, Any]) -> Iterator[str]:
    """What a message says; incident tools put much of theirs into attachments.

    https://docs.slack.dev/messaging/formatting-message-text, https://docs.slack.dev/reference/messaging/attachments
    """
    yield str(message.get("text") or "")
    attachments = message.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else ():
        if isinstance(attachment, dict):
            yield from (str(attachment.get(name) or "") for name in ("title", "text", "fallback"))


def take(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The button of an offer: whoever presses it goes on as after the command, with what the tool has said."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        with desk.store.read() as session:
            offer = session.get(Offer, value_of(body))
        answer = NO_SUCH_OFFER
        if offer is not None:
            wanted = Wanted(offer.entitlement, offer.incident, "", source)
            answer = begin(desk, speaker, wanted, body["trigger_id"])
        say_unless_open(desk, speaker, body, answer, source)
    ack()


def opened(ack: Any) -> None:
    """Slack tells of a link that was followed, too: https://docs.slack.dev/reference/block-kit/block-elements/button-element"""
    ack()


# -- what is said of an offer -----------------------------------------------------------------------------------------


def host_of(address: str) -> str:
    """The host of an address that people may be sent to; empty for every other text."""
    found = ADDRESS.fullmatch(address) if len(address) <= LONGEST_ADDRESS else None
    return found[1].lower() if found else ""


def offer(facts: Facts) -> str:
    """To whoever is on call."""
    return (
        f":rotating_light: {_incident(facts)}\nYou are on call. Where nothing can wait for an answer, *Break glass…* "
        "takes access first. This message gives nothing."
    )


def offer_to_nobody(facts: Facts) -> str:
    """To security, in the place of whoever is on call."""
    return (
        f":rotating_light: {_incident(facts)}\nNobody on call could be told: {esc(facts['why'], 600)}. Whoever may "
        "break glass finds the form behind *Break glass…*. This message gives nothing."
    )


def _incident(facts: Facts) -> str:
    return f"An incident tool announces *{esc(facts['incident'])}*: {esc(facts['title'])}"


def offer_buttons(facts: Facts) -> list[Block]:
    """The way to the form, and to the incident: whose host it is stands on the button."""
    row = button(TAKE, "Break glass…", facts["id"], "danger")
    host = host_of(facts["link"])
    if host:
        text = {"type": "plain_text", "text": plain(f"Open it at {host}", 75)}
        row["elements"].append({"type": "button", "action_id": OPEN, "text": text, "url": facts["link"]})
    return [row]
