"""Slack as the simulated run has it: every message that arrived, who reads it, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox import seed
from bot.slack_out import SlackError
from handlers.cards import Drawing
from tests.support.world import COMPANY
from tests.torture.crew import Bell
from tests.torture.weather import Weather

KINDS = {  # how a message begins that says something, and what it says
    "done": r":large_green_circle: .* is given \*", "changed": r":large_green_circle: .* is done\.",
    "ended": r":white_circle: ", "approved": r":white_check_mark: Approved by ", "denied": r":no_entry_sign: ",
    "cancelled": r":wastebasket: ", "lapsed": r":zzz: ", "refused": r":no_entry: .* is refused: ",
    "failed": r":red_circle: .* and was given up: ", "partly": r":warning: .* is done in part only: ",
    "left": r":warning: .* stays as it is, done in part", "vote_refused": r":no_entry: Your answer does not count: ",
    "scheduled": r":calendar: ", "voted": r":ballot_box_with_ballot: Approved by ", 
    "glass": r":rotating_light: .* breaks",
}  # fmt: skip
REQUEST = re.compile(r"REQ-[0-9a-z]{10}")
FOOT = re.compile(r"^REQ-[0-9a-z]{10}(?= · |$)", re.MULTILINE)  # below a message: what it is about


@dataclass
class Message:
    """One message. ``place`` is a channel or a Slack user; ``at`` is true time, of its last drawing."""

    ts: str
    place: str
    text: str
    blocks: list[dict[str, Any]]
    thread: str
    about: str
    at: float
    drawings: int = 1


@dataclass(frozen=True)
class Heard:
    """What a message says. ``place`` is "thread", a channel or a Slack user."""

    at: float
    kind: str
    request: str
    place: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict, hash=False)  # in runs without cards


class SimulatedSlack:
    """What ``SlackOut`` does, and what people see of it."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.bell = Bell(weather.crew)  # rings at each message
        self.messages: dict[str, Message] = {}
        self.gone: set[str] = set()  # handles of those who left
        self._number = 0

    # -- what the bot calls ---------------------------------------------------------------------------------------

    def post(self, channel: str, drawing: Drawing, *, thread: str = "", about: str = "") -> str:
        return self.weather.reach("slack", lambda: self._post(channel, drawing, thread, about), writes=True)

    def _post(self, channel: str, drawing: Drawing, thread: str, about: str) -> str:
        self._number += 1
        ts = f"{self._number:010d}.000000"
        place = channel.removeprefix("D-")
        now = self.weather.clock.true
        self.messages[ts] = Message(ts, place, drawing.text, drawing.blocks, thread, about, now)
        self.bell.notify_all(self.weather.chance.uniform(0.1, 2.0))
        return ts

    def update(self, channel: str, ts: str, drawing: Drawing) -> None:
        self.weather.reach("slack", lambda: self._update(ts, drawing), writes=True)

    def _update(self, ts: str, drawing: Drawing) -> None:
        message = self.messages[ts]
        message.text, message.blocks, message.at = drawing.text, drawing.blocks, self.weather.clock.true
        message.drawings += 1
        self.bell.notify_all(self.weather.chance.uniform(0.1, 2.0))

    def whisper(self, channel: str, user: str, drawing: Drawing) -> None:
        self.weather.reach("slack", lambda: self._post(f"D-{user}", drawing, "", ""), writes=True)

    def direct(self, user: str) -> str:
        return self.weather.reach("slack", lambda: f"D-{user}", writes=False)

    def link(self, channel: str, ts: str) -> str:
        return self.weather.reach("slack", lambda: f"https://slack.example/{channel}/{ts}", writes=False)

    def channel(self, channel: str) -> dict[str, Any]:
        return self.weather.reach("slack", lambda: {"id": channel}, writes=False)

    def user(self, user: str) -> dict[str, Any]:
        return self.weather.reach("slack", lambda: self._user(user), writes=False)

    def _user(self, user: str) -> dict[str, Any]:
        person = next((one for one in COMPANY.people if one.slack_id == user), None)
        if person is None:
            raise SlackError("user_not_found", retry=False)
        profile = {"email": person.email, "display_name": person.handle}
        return {"id": user, "team_id": seed.SLACK_TEAM, "name": person.handle, "profile": profile,
                "deleted": person.handle in self.gone or person.slack_kind == "deleted"}  # fmt: skip

    def users(self) -> list[dict[str, Any]]:
        return [self._user(person.slack_id) for person in COMPANY.people[: len(seed.STORY)]]

    # -- what people and the judge see ----------------------------------------------------------------------------

    def question(self, request: str, user: str) -> int | None:
        """The version of the plan on the newest copy that this person sees, while it can be answered there."""
        seen = [m for m in self.messages.values() if m.about.startswith(f"{request}/") and m.place in (user, CHANNEL)]
        for message in sorted(seen, key=lambda m: m.at, reverse=True):
            for button in _buttons(message.blocks):
                if button.get("action_id") == "approve":
                    return int(button["value"].rpartition(":")[2])
        return None

    def heard(self) -> Iterator[Heard]:
        """What every message says that says something, the oldest first; cards apart."""
        for message in self.messages.values():
            if message.about.startswith("REQ-"):
                continue  # a card, which is redrawn
            if message.text.startswith("{"):
                said = json.loads(message.text)
                place = said["place"] if said["place"] == "thread" else message.place
                yield Heard(message.at, said["kind"], said["request"], place, message.text, said["facts"])
                continue
            kind = next((kind for kind, begins in KINDS.items() if re.match(begins, message.text)), "")
            root = self.messages.get(message.thread)
            named = REQUEST.search(root.about) if root else FOOT.search(message.text) or REQUEST.search(message.text)
            if kind:
                place = "thread" if root else message.place
                yield Heard(message.at, kind, named[0] if named else "", place, message.text)


def _buttons(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if block["type"] == "actions":
            yield from block["elements"]


CHANNEL = COMPANY.channel("access-requests").id
