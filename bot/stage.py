"""The stage on which the story is played: people who type and press, what they see, and what was expected of it."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from approvals.store import Store
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.slack.control import SlackControl, text_of

Json = dict[str, Any]
CHANNEL = "#access-requests"


@dataclass
class Stage:
    """Both sandboxes, the record (to move domain time, and to see what is still waited for), and the command line."""

    slack: SlackControl
    atlassian: AtlassianControl
    store: Store
    gatehouse: Callable[..., str]
    imported: str
    patience: float = 120.0  # seconds somebody waits to see something
    failures: list[str] = field(default_factory=list)
    moved: timedelta = timedelta(0)
    evidence: Path = Path(".demo") / "evidence"  # what the auditor gets

    def title(self, words: str) -> None:
        print(f"\n\033[1m{words}\033[0m" if sys.stdout.isatty() else f"\n== {words}", flush=True)

    def line(self, who: str, words: str) -> None:
        first, *rest = words.strip().split("\n")
        print(f"  {who:>22} │ {first}", flush=True)
        for more in rest:
            print(f"  {'':>22} │ {more}", flush=True)

    def expect(self, so: bool, words: str) -> None:
        print(f"  {'✓' if so else '✗'} {words}", flush=True)
        if not so:
            self.failures.append(words)

    # -- what people do -------------------------------------------------------------------------------------------

    def types(self, who: str, text: str) -> str:
        """Somebody types a command; returns what they are shown."""
        self.line(seed.company().person(who).given, f"/access {text}")
        answer = self.slack.command(who, text, channel=room_of(who))
        shown = plain(text_of(answer["body"] or {}) or answer.get("text") or "")
        self.line("Gatehouse, to " + seed.company().person(who).given, shown or "opens a window")
        return shown

    def sees(self, who: str, words: str, where: str) -> Json:
        """Wait until somebody sees a message with these words, and print it."""
        message = self.slack.wait_for(who, words, timeout=self.patience)
        self.line(where, plain(text_of(message)))
        return message

    def reply(self, card: Json, words: str) -> Json:
        """Wait for a message in a card's thread, and print it."""

        def look() -> Json | None:
            threads = (m.get("replies", []) for m in self.slack.channel(CHANNEL) if m["ts"] == card["ts"])
            return next((m for replies in threads for m in replies if words in text_of(m)), None)

        message = self.slack.wait_for(look, timeout=self.patience)
        self.line("in the card's thread", plain(text_of(message)))
        return message

    def card(self, who: str, request: str) -> Json:
        """The copy of a request's card that somebody sees, waited for."""

        def look() -> Json | None:
            seen = (message for message in self.slack.messages(who) if message.get("blocks"))
            return next((m for m in seen if request in text_of(m) and "asks for" in text_of(m)), None)

        return self.slack.wait_for(look, timeout=self.patience)

    def asks(self, who: str, text: str) -> str:
        """Somebody types what becomes a request; its id."""
        shown = self.types(who, text)
        found = re.search(r"REQ-[0-9a-z]+", shown.partition(":hourglass_flowing_sand:")[2])
        self.expect(found is not None, "it is written down")
        return found[0] if found else "REQ-none"

    def approves(self, who: str, request: str, *, show: bool = True) -> None:
        """Somebody approves from their direct message, and does what the form asks of them."""
        card = self.card(who, request)
        if show:
            self.line(f"{seed.company().person(who).given}, directly", plain(text_of(card)))
        self.slack.click(who, "approve", ts=card["ts"], channel=card["channel"])
        view = self.slack.open_view(who)
        if view is not None:
            named = [block for block in view["blocks"] if block.get("block_id") == "name"]
            typed = named[0]["label"]["text"].rpartition(": ")[2] if named else ""
            self.line(seed.company().person(who).given, f"types “{typed}”" if typed else "has looked at the plan")
            self.slack.submit(who, view["id"], {"name": {"name": typed}} if typed else {})
        else:
            self.line(seed.company().person(who).given, "presses Approve")

    def given(self, who: str, what: str, length: str, approver: str) -> str:
        """Somebody asks and gets it; the request's id."""
        request = self.asks(who, f"grant {what} {length} because INC-42: the database is down")
        self.approves(approver, request, show=False)
        self.until(lambda: self.finished(who, request))
        return request

    def answer(self, who: str, text: str) -> str:
        """What somebody is shown for a command, which the story does not print."""
        return text_of(self.slack.command(who, text, channel=room_of(who))["body"] or {})

    def finished(self, who: str, request: str) -> bool:
        """Whether a request is over, as its requester is told."""
        said = self.answer(who, f"status {request}")
        return any(words in said for words in ("Applied and read back", "Refused", "Ended"))

    def waits_for_its_time(self, who: str, request: str) -> bool:
        """Whether the last approval of a request is counted, and its pause has begun."""
        answer = self.slack.command(who, f"status {request}", channel=room_of(who))
        return "waiting for its time" in text_of(answer["body"] or {})

    def window(self, who: str, words: str) -> Json | None:
        """The window in front of somebody, once it shows these words."""
        view = self.slack.open_view(who)
        return view if view is not None and words in text_of(view).replace("\u2060", "") else None

    def list_asked(self, who: str) -> str:
        """The id of the list that waits for somebody's answer; empty before."""
        texts = [text_of(message) for message in self.slack.dms(who) if message.get("blocks")]
        found = [
            re.search(r"REQ-[0-9a-z]+", text) for text in texts if "list" in text and "Waiting for an answer" in text
        ]
        return found[-1][0] if found and found[-1] else ""

    def proposal(self) -> Json | None:
        seen = [m for m in self.slack.channel("#security") if "Let everything go on" in text_of(m)]
        return seen[-1] if seen else None

    def until(self, look: Callable[[], Any]) -> Any:
        return self.slack.wait_for(lambda: look() or None, timeout=self.patience)

    def pause_passes(self, who: str, request: str) -> None:
        """Wait until it is approved by all, then let the pause of the high tier go by; who asked sees how it stands."""
        self.until(lambda: "waiting for its time" in self.answer(who, f"status {request}"))
        self.passes(timedelta(minutes=6))

    def passes(self, by: timedelta) -> None:
        """Time goes on by so much."""
        self.moved += by
        self.move_time(self.moved)

    def move_time(self, by: timedelta) -> None:
        """Domain time, for the bot and both sandboxes, from where it was first."""
        self.store.move_time(by)
        self.slack.set_clock(int(by.total_seconds()))
        self.atlassian.set_clock(by.total_seconds())


def room_of(who: str) -> str:
    """A channel that somebody is in, to type commands in."""
    return CHANNEL if who in seed.company().channel("access-requests").members else "#general"


def plain(text: str) -> str:
    """Slack's markup as a person reads it."""
    names = {person.slack_id: person.name for person in seed.company().people}
    text = re.sub(r"<@([A-Z0-9]+)>", lambda m: "@" + names.get(m[1], m[1]), text)
    text = re.sub(r"<!date\^(\d+)\^[^|>]*\|[^>]*>", lambda m: f"{datetime.fromtimestamp(int(m[1])):%d %b %H:%M}", text)
    text = re.sub(r"<(http[^|>]+)\|([^>]*)>", r"\2 (\1)", text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("\u2060", "")
    return re.sub(r"\*([^*\n]+)\*", r"\1", text)


def held_by(stage: Stage, who: str) -> bool:
    return seed.company().person(who).account_id in stage.atlassian.members("eu-jira-admins")
