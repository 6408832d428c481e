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
from handlers.cards import NOUNS

Json = dict[str, Any]
CHANNEL = "#access-requests"
REASON = "INC-42: db down: “need” <!channel> & failover"
LEFT = ("person020", "person024")
ROLES = {"ada": "an engineer", "grace": "her manager, who is not in the channel", "tomas": "another engineer"}


@dataclass
class Stage:
    """Both sandboxes, the record (only to move domain time), and the command line."""

    slack: SlackControl
    atlassian: AtlassianControl
    store: Store
    gatehouse: Callable[..., str]
    imported: str
    patience: float = 40.0  # seconds somebody waits to see something
    failures: list[str] = field(default_factory=list)
    moved: timedelta = timedelta(0)

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

    def finished(self, who: str, request: str) -> bool:
        """Whether a request is over, as its requester is told."""
        answer = self.slack.command(who, f"status {request}", channel=room_of(who))
        said = text_of(answer["body"] or {})
        return any(words in said for words in ("Applied and read back", "Refused", "Ended"))

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

    def passes(self, by: timedelta) -> None:
        """Time goes on by so much."""
        self.moved += by
        self.move_time(self.moved)

    def move_time(self, by: timedelta) -> None:
        """Domain time, for the bot and both sandboxes, from where it was first."""
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
        changing(stage)
        arriving(stage)
        renaming(stage)
        stealing(stage)
        leaving(stage)
        listing(stage)
        abdicating(stage)
        looking(stage)
        freezing(stage)
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
    stage.expect(not held_by(stage, "ada"), "nothing has changed in Atlassian")


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
    stage.expect(not held_by(stage, "tomas"), "Tomáš holds nothing")


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
    stage.expect(held_by(stage, "ada"), "Atlassian says that Ada is in the group")
    writes = stage.atlassian.ledger(writes=True)[before:]
    stage.expect(len(writes) == 1, "by one call")


def ending(stage: Stage, request: str) -> None:
    stage.title("Two hours later")
    stage.passes(timedelta(hours=2, seconds=1))
    stage.reply(stage.card("ada", request), "is over")
    stage.expect(not held_by(stage, "ada"), "Atlassian says that Ada is out of the group")
    mei = seed.company().person("mei").account_id
    stage.expect(mei in stage.atlassian.members("eu-jira-admins"), "Mei, who was in it before, still is")


def arriving(stage: Stage) -> None:
    stage.title("Zoë starts today: Kofi asks for an account, and for what she is to have")
    typed = f'provision zoe@{seed.DOMAIN} "Zoë Lind" with eu-confluence-admins because HR-12: she starts today'
    request = stage.asks("kofi", typed)
    stage.approves("omar", request)
    welcome = stage.sees("kofi", "is here", "Kofi, directly")
    stage.expect(
        "asks for `eu-confluence-admins`" in text_of(welcome), "what she is to have is asked for by its own rule"
    )
    made = [call for call in stage.atlassian.ledger(writes=True) if call["path"].endswith("/Users")]
    stage.expect(len(made) == 1, "by one call to the SCIM directory that is ours")


def changing(stage: Stage) -> None:
    stage.title("Ada holds it longer, gives it back early, and a role is given and taken")
    held = stage.given("ada", "eu-jira-admins", "for 2h", "grace")
    longer = stage.asks("ada", f"extend {held} for 1h because INC-42: it is not over yet")
    stage.approves("grace", longer)
    stage.until(lambda: stage.finished("ada", longer))
    for request in (longer, held):
        stage.types("ada", f"end {request}")
    stage.until(lambda: not held_by(stage, "ada"))
    stage.expect(True, "given back before its time, Atlassian says that Ada is out of the group")
    given = stage.given("ada", "jira-basic", "for 2h", "grace")
    stage.expect(bool(given), "a role on the site is given directly")
    taken = stage.asks("grace", f"revoke jira-basic from ada@{seed.DOMAIN} because HR-15: another job")
    stage.approves("omar", taken)
    stage.sees("grace", "the removal of `jira-basic` from Ada Ferreira is done.", "Grace, directly")
    stage.expect(stage.finished("grace", taken), "and taken again")


def renaming(stage: Stage) -> None:
    stage.title("Orla married: her address changes, she is told, and the pause would let her stop it")
    request = stage.asks("kofi", f"email orla@{seed.DOMAIN} orla.lind@{seed.DOMAIN} because HR-14: she married")
    for who in ("omar", "ingrid"):
        stage.approves(who, request)
    stage.sees("orla", "the change of address of Orla Byrne is approved, and nothing is done before", "Orla, directly")
    stage.passes(timedelta(minutes=6))
    stage.sees("kofi", "the change of address of Orla Byrne is done.", "Kofi, directly")
    address = stage.atlassian.account(seed.company().person("orla").account_id)["email"]
    stage.expect(address == f"orla.lind@{seed.DOMAIN}", "Atlassian has the new address")


def stealing(stage: Stage) -> None:
    stage.title("Nadia's laptop is stolen: suspended first, her API tokens deleted, then restored")
    nadia = seed.company().person("nadia")
    for verb, reason in (("suspend", "INC-43: a stolen laptop"), ("tokens", "INC-43: whatever was on it"),
                         ("restore", "INC-43: she has a new one")):  # fmt: skip
        delete = " delete" if verb == "tokens" else ""
        request = stage.asks("sade", f"{verb} {nadia.email}{delete} because {reason}")
        stage.approves("omar", request)
        stage.sees("sade", f"the {NOUNS[verb]} of Nadia", "Sade, directly")
        stage.until(lambda request=request: stage.finished("sade", request))  # type: ignore[misc]
    stage.expect(stage.atlassian.account(nadia.account_id)["tokens"] == [], "she has no API token any more")


def leaving(stage: Stage) -> None:
    stage.title("Tomáš leaves the company, and must not see it before it is done")
    tomas = seed.company().person("tomas")
    held = stage.given("tomas", "release-managers", "for 8h", "grace")
    stage.atlassian.make_token(tomas.account_id, label="made in the last moment", late=True)
    request = stage.asks("kofi", f"offboard {tomas.email} because HR-7: the contract is over")
    for who in ("grace", "omar"):
        stage.approves(who, request, show=who == "grace")
    stage.sees("grace", "the offboarding of Tomáš Novák is approved, and nothing is done before", "Grace, directly")
    seen = "\n".join(text_of(message) for message in stage.slack.messages("tomas"))
    stage.expect(request not in seen and "offboarding" not in seen, "Tomáš has seen nothing of it")
    stage.passes(timedelta(minutes=6))
    proof = stage.sees("kofi", "the offboarding of Tomáš Novák is done.", "Kofi, directly")
    account = stage.atlassian.account(tomas.account_id)
    stage.expect(not account["active"], "Atlassian says that his account is deactivated")
    stage.expect(account["tokens"] == [], "and that he has no API token any more, the one made meanwhile included")
    stage.expect(held in text_of(proof), "the proof names the grant that ended with it")
    stage.title("It was a mistake: Tomáš comes back")
    back = stage.asks("sade", f"reactivate {tomas.email} because HR-8: he stays after all")
    for who in ("grace", "omar"):
        stage.approves(who, back, show=who == "grace")
    stage.passes(timedelta(minutes=6))
    stage.sees("sade", "the reactivation of Tomáš Novák is done.", "Sade, directly")
    stage.expect(stage.atlassian.account(tomas.account_id)["active"], "Atlassian lets him in again")


def listing(stage: Stage) -> None:
    stage.title("Two more have left: Kofi hands in a list, in which one line is wrong")
    lines = ["person,action,reason", *(f"{who}@{seed.DOMAIN},deactivate,HR-16: left in October" for who in LEFT)]
    stage.types("kofi", "bulk")
    view = stage.until(lambda: stage.slack.open_view("kofi"))
    file = stage.slack.attach("kofi", "left.csv", "\n".join([*lines, "nobody@nowhere.example,deactivate,HR-16: left"]))
    stage.slack.submit(
        "kofi", view["id"], {"file": {"file": [file]}, "reason": {"reason": "HR-16: who left in October"}}
    )
    stage.line("Kofi", f"chooses a file with {len(lines)} lines")
    request = stage.until(lambda: stage.list_asked("omar"))
    for who in ("omar", "ingrid"):
        stage.approves(who, request, show=who == "omar")
    stage.passes(timedelta(minutes=6))
    stage.until(lambda: stage.finished("kofi", request))
    accounts = [stage.atlassian.account(seed.company().person(who).account_id) for who in LEFT]
    stage.expect(not any(account["active"] for account in accounts), "both are deactivated, the wrong line is left out")


def abdicating(stage: Stage) -> None:
    stage.title("Organization admins go by one road only")
    refused = stage.asks("sade", f"suspend ingrid@{seed.DOMAIN} because INC-44: let us see")
    stage.sees("sade", "There is one road", "Sade, directly")
    stage.expect(stage.finished("sade", refused), "an admin is neither suspended nor deactivated")


def looking(stage: Stage) -> None:
    stage.title("Looking: what Ada holds, who holds it, and what is in the record; in windows that only they see")
    for who, typed, words in (
        ("omar", f"whois ada@{seed.DOMAIN}", "managed by the organization"),
        ("omar", "who eu-jira-admins", "Mei Tanaka"), ("omar", f"tokens ada@{seed.DOMAIN}", "ci-pipeline"),
        ("omar", f"audit ada@{seed.DOMAIN}", "request.asked"),
    ):  # fmt: skip
        stage.types(who, typed)
        view = stage.until(lambda who=who, words=words: stage.window(who, words))  # type: ignore[misc]
        stage.line(f"only {seed.company().person(who).given} sees", plain(text_of(view))[:400] + " …")
        stage.slack.close_view(who, all=True)
    stage.slack.open_home("ada")
    home = stage.until(lambda: stage.slack.home("ada"))
    stage.line("Ada's Home", plain(text_of(home))[:400])


def freezing(stage: Stage) -> None:
    stage.title("Sade freezes everything, and two let it go on")
    stage.types("sade", "freeze because INC-45: something is wrong with the record")
    shown = stage.types("ada", "grant eu-jira-admins for 1h because INC-46: while it is frozen")
    stage.expect("stands still" in shown, "nothing can be asked for meanwhile")
    stage.types("sade", "unfreeze")
    for who in ("omar", "ingrid"):
        card = stage.until(lambda: stage.proposal())
        stage.slack.click(who, "agree", ts=card["ts"], channel=card["channel"])
        name = seed.company().person(who).name
        stage.until(lambda name=name: name in text_of(stage.proposal() or {}).replace("\u2060", ""))  # type: ignore[misc]
    stage.until(lambda: "Agreed" in text_of(stage.proposal() or {}))
    stage.expect(
        "REQ-" in stage.types("ada", "grant eu-jira-admins for 1h because INC-46: now it goes on"), "it goes on"
    )


def proving(stage: Stage) -> None:
    stage.title("The record")
    printed = stage.gatehouse("audit", "verify")
    stage.line("gatehouse audit verify", printed)
    stage.expect(printed.endswith("whole."), "the chain is whole")


def held_by(stage: Stage, who: str) -> bool:
    return seed.company().person(who).account_id in stage.atlassian.members("eu-jira-admins")


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
