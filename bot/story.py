"""The story every release must be able to tell, played against the sandboxes; every line of it is an answer."""

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from approvals.store import Store
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.slack.control import SlackControl, text_of

Json = dict[str, Any]
CHANNEL = "#access-requests"
REASON = "INC-42: db down: “need” <!channel> & failover"
ROLES = {"ada": "an engineer", "grace": "her manager, who is not in the channel", "tomas": "another engineer"}


@dataclass
class Stage:
    """Both sandboxes, the record (only to move domain time), and the command line."""

    slack: SlackControl
    atlassian: AtlassianControl
    store: Store
    gatehouse: Callable[..., str]
    imported: str
    patience: float = 20.0  # seconds somebody waits to see something
    failures: list[str] = field(default_factory=list)

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
        answer = self.slack.command(who, text, channel=CHANNEL)
        shown = plain(text_of(answer["body"] or {}) or answer.get("text") or "")
        self.line("Gatehouse, to " + seed.company().person(who).given, shown)
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

    def move_time(self, by: timedelta) -> None:
        """Domain time, for the bot and both sandboxes."""
        self.store.move_time(by)
        self.slack.set_clock(int(by.total_seconds()))
        self.atlassian.set_clock(by.total_seconds())


def tell(stage: Stage) -> list[str]:
    """The whole story, as far as it goes; returns the expectations that did not hold."""
    try:
        ready(stage)
        request = asking(stage)
        refusing_oneself(stage, request)
        denying(stage)
        approving(stage, request)
        ending(stage, request)
        leaving(stage)
        proving(stage)
    except TimeoutError as nothing:
        stage.expect(False, f"the story could go on: {nothing}")
    return stage.failures


def ready(stage: Stage) -> None:
    stage.title("The company")
    stage.line("gatehouse import", stage.imported.splitlines()[-1])
    for _ in range(100):  # the mirror is filled in the first seconds of a first start
        answer = stage.slack.command("ada", "mine", channel=CHANNEL)
        if "don't know" not in (answer.get("text") or ""):
            return
        time.sleep(0.1)


def asking(stage: Stage) -> str:
    stage.title("Ada, an engineer, asks for eu-jira-admins for two hours")
    shown = stage.types("ada", f"grant eu-jira-admins for 2h because {REASON}")
    found = re.search(r"REQ-[0-9a-z]+", shown)
    stage.expect(found is not None, "the request is written down before it is acknowledged")
    request = found[0] if found else "REQ-none"
    card = stage.card("ada", request)
    stage.line("#access-requests", plain(text_of(card)))
    stage.expect(REASON in text_of(card), "the reason arrived whole and harmless")
    direct = stage.card("grace", request)
    stage.line("Grace, directly", plain(text_of(direct)))
    stage.expect(direct["channel"].startswith("D"), "Grace, who is not in the channel, is asked directly")
    stage.expect("may answer" in text_of(direct), "the card says why it is she who is asked")
    return request


def refusing_oneself(stage: Stage, request: str) -> None:
    stage.title("Ada tries to approve her own request")
    card = stage.card("ada", request)
    stage.slack.click("ada", "approve", ts=card["ts"], channel=card["channel"])
    refusal = stage.sees("ada", "nobody approves their own request", "only Ada sees")
    stage.expect("own request" in text_of(refusal), "self-approval is refused")
    stage.expect(not held(stage, "ada"), "nothing has changed in Atlassian")


def denying(stage: Stage) -> None:
    stage.title("Tomáš asks too, and Grace says no")
    shown = stage.types("tomas", 'grant eu-jira-admins for 8h because "I want to look around"')
    request = (re.search(r"REQ-[0-9a-z]+", shown) or ["REQ-none"])[0]
    card = stage.card("grace", request)
    stage.slack.click("grace", "deny", ts=card["ts"], channel=card["channel"])
    view = stage.slack.open_view("grace")
    stage.expect(view is not None, "Deny asks for a reason first")
    if view is not None:
        stage.line("Grace", "Looking around needs no admin rights; ask Mei for a tour.")
        reason = {"reason": {"text": "Looking around needs no admin rights; ask Mei for a tour."}}
        stage.slack.submit("grace", view["id"], reason)
    stage.reply(stage.card("tomas", request), "was denied by")
    stage.expect(not held(stage, "tomas"), "Tomáš holds nothing")


def approving(stage: Stage, request: str) -> None:
    stage.title("Grace approves Ada's request from the direct message")
    before = len(stage.atlassian.ledger(writes=True))
    card = stage.card("grace", request)
    stage.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
    stage.reply(stage.card("ada", request), "Approved by")
    done = stage.reply(stage.card("ada", request), "is given")
    stage.expect("read back" in text_of(done), "the thread says that it was read back")
    stage.expect("/audit-log" in str(done), "with the link to the organization's audit log")
    for call in stage.atlassian.ledger(writes=True)[before:]:
        stage.line("Atlassian's ledger", f"{call['method']} {call['path']} → {call['status']}")
    stage.expect(held(stage, "ada"), "Atlassian says that Ada is in the group")
    writes = stage.atlassian.ledger(writes=True)[before:]
    stage.expect(len(writes) == 1, "by one call")


def ending(stage: Stage, request: str) -> None:
    stage.title("Two hours later")
    stage.move_time(timedelta(hours=2, seconds=1))
    stage.reply(stage.card("ada", request), "is over")
    stage.expect(not held(stage, "ada"), "Atlassian says that Ada is out of the group")
    mei = seed.company().person("mei").account_id
    stage.expect(mei in stage.atlassian.members("eu-jira-admins"), "Mei, who was in it before, still is")


def leaving(stage: Stage) -> None:
    tomas = seed.company().person("tomas")
    stage.title("Tomáš leaves the company, and must not see it before it is done")
    stage.atlassian.make_token(tomas.account_id, label="made in the last moment", late=True)
    before = [text_of(message) for message in stage.slack.messages("tomas")]
    shown = stage.types("kofi", f"deactivate {tomas.email} because HR-7: the contract is over")
    request = (re.search(r"REQ-[0-9a-z]+", shown) or ["REQ-none"])[0]
    for who in ("grace", "omar"):
        card = stage.card(who, request)
        if who == "grace":
            stage.line("Grace, directly", plain(text_of(card)))
        stage.slack.click(who, "approve", ts=card["ts"], channel=card["channel"])
        view = stage.slack.open_view(who)
        stage.expect(view is not None, f"{seed.company().person(who).given} must type whose account it is")
        if view is not None:
            stage.slack.submit(who, view["id"], {"name": {"name": tomas.name}})
    stage.sees("grace", "nothing is done before", "Grace, directly")
    stage.expect(
        [text_of(message) for message in stage.slack.messages("tomas")] == before, "Tomáš has seen nothing of it"
    )
    stage.move_time(timedelta(hours=2, minutes=6))
    stage.sees("kofi", "is done.", "Kofi, directly")
    account = stage.atlassian.account(tomas.account_id)
    stage.expect(not account["active"], "Atlassian says that his account is deactivated")
    stage.expect(account["tokens"] == [], "and that he has no API token any more, the one made meanwhile included")


def proving(stage: Stage) -> None:
    stage.title("The record")
    printed = stage.gatehouse("audit", "verify")
    stage.line("gatehouse audit verify", printed)
    stage.expect(printed.endswith("whole."), "the chain is whole")


def held(stage: Stage, who: str) -> bool:
    return seed.company().person(who).account_id in stage.atlassian.members("eu-jira-admins")


def plain(text: str) -> str:
    """Slack's markup as a person reads it."""
    names = {person.slack_id: person.name for person in seed.company().people}
    text = re.sub(r"<@([A-Z0-9]+)>", lambda m: "@" + names.get(m[1], m[1]), text)
    text = re.sub(r"<!date\^(\d+)\^[^|>]*\|[^>]*>", lambda m: f"{datetime.fromtimestamp(int(m[1])):%d %b %H:%M}", text)
    text = re.sub(r"<(http[^|>]+)\|([^>]*)>", r"\2 (\1)", text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("\u2060", "")
    return re.sub(r"\*([^*\n]+)\*", r"\1", text)
