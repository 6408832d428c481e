"""Two hostile people with every right the policy can give, what they do through the real door, and who judges it.

The judge reads Atlassian's ledger and what the people themselves did; the bot's tables say nothing to it.
"""

import hashlib
import hmac
import io
import itertools
import json
import random
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from bot.sandbox import seed
from bot.web import Web
from tests.support.living import Living
from tests.support.policies import roomy

COMPANY = seed.company()
PAIR = ("omar", "sade")
HONEST = ("linnea", "grace", "ingrid")
OTHERS = ("ada", "tomas", "mei", "person000", "person004", "person008", "person012")
SERVICE = "person016"  # a protected account in the directory that the bot writes
PROTECTED = (seed.EMERGENCY, SERVICE)
ADMINS_AT_FIRST = ("omar", "ingrid", "linnea", "mei", "tomas")
GROUPS = ("eu-jira-admins", "eu-confluence-admins", "release-managers", "breakglass-drill")
A_DAY, AN_HOUR = 25, 10


def person(handle: str) -> str:
    one = COMPANY.person(handle)
    return f'{{slack = "{seed.SLACK_TEAM}/{one.slack_id}", account = "{one.account_id}"}}'


def account(handle: str) -> str:
    return COMPANY.person(handle).account_id


def policy() -> str:
    """Every right for both: all roles, owners, approvers of everything; with limits that a run can reach."""
    both = ", ".join(map(person, PAIR))
    text = roomy().partition("\n[asking]")[0]
    text = re.sub(r"admin = \[.*\]\n", f"admin = [{both}, {person('ingrid')}]\n", text, count=1)
    text = re.sub(r"security = \[.*\]\n", f"security = [{both}]\n", text, count=1)
    text = re.sub(r"helpdesk = \[.*\]\n", f"helpdesk = [{both}]\n", text, count=1)
    service = f'[[protected]]\naccount = "{account(SERVICE)}"\nwhy = "runs the builds"\n'
    text = text.replace("[directories.gatehouse]", service + "[directories.gatehouse]", 1)
    text = text.replace('approvers = ["manager"]\nwho', f'approvers = ["manager", {both}]\nwho', 1)
    text = text.replace('approvers = ["manager", "owner"]', f'approvers = ["manager", {both}]\ntier = "medium"')
    text = text.replace('longest = "until revoked"', 'longest = "until revoked"\ntier = "high"\napprovals = 2')
    text = text.replace('approvers = ["owner"]', f"approvers = [{both}, {person('ingrid')}]")
    return text + "\n[asking]\nopen_at_once = 8\nan_hour = 40\n"


@dataclass
class Asked:
    """A request as its asker knows it: what was typed, and the id in the acknowledgement."""

    id: str
    verb: str
    requester: str
    subject: str
    what: str
    yes: set[str] = field(default_factory=set)  # who clicked approve, or sent its form


@dataclass
class Pair:
    """What they do, drawn by one seed; ``asked`` and ``heard`` are all they know."""

    bot: Living
    chance: random.Random
    asked: dict[str, Asked] = field(default_factory=dict)
    newest: deque[Asked] = field(default_factory=lambda: deque(maxlen=25))  # a run of a million words asks too often
    about: dict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))  # by account: to look at them all
    proposals: list[str] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    moved: timedelta = timedelta(0)
    sent: deque[bytes] = field(default_factory=lambda: deque(maxlen=50))
    posts: int = 0  # commands, clicks and forms that went through the door
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.web = Web(self.bot.house)
        self.settle: Callable[[], None] = self.bot.house.worker.run_until_idle

    # -- the door -------------------------------------------------------------------------------------------------

    def post(self, body: bytes) -> dict[str, Any]:
        """Signed bytes into the bot's own WSGI application; what it answers."""
        self.posts += 1
        at = str(int(time.time()))
        digest = hmac.new(seed.SLACK_SIGNING_SECRET.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256)
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/slack/events", "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": "application/x-www-form-urlencoded", "wsgi.input": io.BytesIO(body),
            "HTTP_X_SLACK_REQUEST_TIMESTAMP": at, "HTTP_X_SLACK_SIGNATURE": f"v0={digest.hexdigest()}",
            "REMOTE_ADDR": "127.0.0.1", "QUERY_STRING": "",
        }  # fmt: skip
        status: list[str] = []
        answer = b"".join(self.web(environ, lambda line, headers, *more: status.append(line)))
        assert not status[0].startswith("5"), (status, body)
        return json.loads(answer) if answer.startswith(b"{") else {}

    def types(self, who: str, text: str) -> str:
        number = next(self.numbers)
        fields = {
            "command": "/access", "text": text, "team_id": seed.SLACK_TEAM, "user_id": COMPANY.person(who).slack_id,
            "channel_id": "C0ACCESS01", "trigger_id": f"{number}.1.{number:032x}",
        }  # fmt: skip
        body = urlencode(fields).encode()
        self.sent.append(body)
        said = str(self.post(body).get("text", ""))
        self.heard[kind_of(said)] += 1
        return said

    def presses(self, who: str, action: str, value: str) -> None:
        number = next(self.numbers)
        self._interaction(
            who,
            {
                "type": "block_actions", "trigger_id": f"{number}.2.{number:032x}", "container": {"channel_id": "D1"},
                "actions": [{"action_id": action, "block_id": "b", "value": value, "action_ts": str(number)}],
            },
        )  # fmt: skip

    def sends(self, who: str, callback: str, request: str, version: int, values: dict[str, Any]) -> None:
        number = next(self.numbers)
        meant = {"request": request, "version": version, "channel": "D1", "entitlement": "eu-jira-admins"}
        self._interaction(
            who,
            {
                "type": "view_submission", "trigger_id": f"{number}.3.{number:032x}",
                "view": {"id": f"V{number}", "callback_id": callback, "private_metadata": json.dumps(meant),
                         "state": {"values": values}, "type": "modal", "hash": str(number)},
            },
        )  # fmt: skip

    def _interaction(self, who: str, payload: dict[str, Any]) -> None:
        user = {"id": COMPANY.person(who).slack_id, "team_id": seed.SLACK_TEAM}
        payload |= {"team": {"id": seed.SLACK_TEAM}, "user": user}
        body = urlencode({"payload": json.dumps(payload)}).encode()
        self.sent.append(body)
        self.post(body)

    # -- the moves ------------------------------------------------------------------------------------------------

    def anybody(self) -> str:
        return self.chance.choice((*PAIR, *PAIR, *OTHERS, *HONEST, *PROTECTED))

    def one_of_them(self) -> str:
        return self.chance.choice(PAIR)

    def some_request(self) -> Asked | None:
        return self.chance.choice(self.newest) if self.newest else None

    def ask_grant(self) -> None:
        who, subject = self.one_of_them(), self.anybody()
        what = self.chance.choice((*GROUPS, *GROUPS, *GROUPS, "eu-jira-admin", "org-admins"))
        length = self.chance.choice(("30m", "45m", "1h", "90m", "2h", "3h", "7h", "9h", "40 days", "until revoked"))
        reason = self.chance.choice(("because INC-42: it is down", "because INC-42: it is down", "because x"))
        tail = f"{length} {reason}" if length == "until revoked" else f"for {length} {reason}"
        self._asked(
            "grant", who, subject, what, self.types(who, f"grant {COMPANY.person(subject).email} {what} {tail}")
        )

    def ask_verb(self) -> None:
        who, subject = self.one_of_them(), self.anybody()
        verb = self.chance.choice(("revoke", "revoke", "deactivate", "suspend", "restore", "reactivate"))
        what = self.chance.choice((*GROUPS[:3], "org-admin", "org-admin")) if verb == "revoke" else ""
        text = f"{verb} {COMPANY.person(subject).email} {what} because HR-7: {self.chance.randrange(10**6)}"
        self._asked(verb, who, subject, what, self.types(who, text))

    def _asked(self, verb: str, who: str, subject: str, what: str, said: str) -> None:
        found = re.search(r"hourglass\S* (REQ-[0-9a-z]+)", said)
        if found and found[1] not in self.asked:
            asked = self.asked[found[1]] = Asked(found[1], verb, who, subject, what)
            self.newest.append(asked)
            self.about[account(subject)].append(asked)

    def answer(self) -> None:
        asked = self.some_request()
        if asked is not None:
            self._answer(
                self.chance.choice((*PAIR, *PAIR, *HONEST, *OTHERS[:2], asked.requester, asked.subject)), asked
            )

    def answer_well(self) -> None:
        """As those would who mean it, so that something comes of it."""
        asked = self.some_request()
        if asked is None:
            return
        for who in self.chance.sample((*PAIR, *HONEST), 4):
            if who not in (asked.requester, asked.subject):
                self._yes(who, asked, 1, COMPANY.person(asked.subject).name)

    def _answer(self, who: str, asked: Asked) -> None:
        version = self.chance.choice((1, 1, 1, 1, 2, 2, 3, 0))
        name = self.chance.choice((COMPANY.person(asked.subject).name, "Somebody Else"))
        match self.chance.choice(("yes", "yes", "no", "edit", "click")):
            case "yes":
                self._yes(who, asked, version, name)
            case "no":
                self.sends(who, "deny_reason", asked.id, version, {"reason": {"text": {"value": "no, not now"}}})
            case "edit":
                length = self.chance.choice(("10m", "20m", "12h", "until revoked"))
                self.sends(who, "change_request", asked.id, version, {"length": {"length": {"value": length}}})
            case _:
                self.presses(who, self.chance.choice(("approve", "deny", "change")), f"{asked.id}:{version}")
                asked.yes.add(who)

    def _yes(self, who: str, asked: Asked, version: int, name: str) -> None:
        asked.yes.add(who)
        if self.chance.random() < 0.3:
            self.presses(who, "approve", f"{asked.id}:{version}")
        else:
            self.sends(who, "approve_plan", asked.id, version, {"name": {"name": {"value": name}}})

    def road(self) -> None:
        """The one road of admins, and the two that must remain: asked, answered and waited for, as if it were meant."""
        who, subject = self.one_of_them(), self.chance.choice(ADMINS_AT_FIRST)
        text = f"revoke {COMPANY.person(subject).email} org-admin because HR-8: {self.chance.randrange(10**6)}"
        said = self.types(who, text)
        self._asked("revoke", who, subject, "org-admin", said)
        self._see_through(said, subject)

    def less(self) -> None:
        """An approver gives less, and the new plan is answered."""
        who, subject = self.one_of_them(), self.chance.choice(OTHERS)
        said = self.types(
            who, f"grant {COMPANY.person(subject).email} eu-jira-admins for 2h because INC-42: it is down"
        )
        self._asked("grant", who, subject, "eu-jira-admins", said)
        self.settle()
        if "REQ-" in said and self.newest:
            asked = self.newest[-1]
            for other, length in ((PAIR[0], "12h"), (PAIR[1], "12h"), (PAIR[0], "40m"), ("grace", "40m")):
                self.sends(other, "change_request", asked.id, 1, {"length": {"length": {"value": length}}})
            self.settle()
            for other in (*PAIR, "grace"):
                self._yes(other, asked, 2, COMPANY.person(subject).name)

    def _see_through(self, said: str, subject: str) -> None:
        self.settle()
        if "hourglass" not in said:
            return
        asked = self.newest[-1]
        for other in (*PAIR, "ingrid"):
            self._yes(other, asked, 1, COMPANY.person(subject).name)
        self.settle()
        self.moved += timedelta(minutes=6)
        self.bot.store.move_time(self.moved)
        self.bot.atlassian.set_clock(self.moved.total_seconds())
        self.settle()

    def take_back(self) -> None:
        asked = self.some_request()
        if asked is not None:
            verb, who = self.chance.choice(("cancel", "end")), self.chance.choice((*PAIR, *OTHERS[:2], asked.requester))
            if self.chance.random() < 0.5:
                self.types(who, f"{verb} {asked.id}")
            else:
                self.presses(who, verb, f"{asked.id}:1")

    def forge(self) -> None:
        """Ids that are nobody's, and what was sent before once more."""
        if self.sent and self.chance.random() < 0.5:
            self.post(self.chance.choice(self.sent))
        else:
            self.presses(self.one_of_them(), "approve", self.chance.choice(("REQ-23456789ab:1", "x", "REQ-:", "PRO-1")))

    def look(self) -> None:
        text = self.chance.choice(("mine", "help", "status", f"whois {COMPANY.person(self.anybody()).email}"))
        self.types(self.one_of_them(), text)

    def delegate(self) -> None:
        who, to = self.chance.choice((*PAIR, *HONEST)), COMPANY.person(self.chance.choice((*PAIR, *OTHERS)))
        self.types(who, self.chance.choice((f"delegate {to.email} for 2 days", "delegate nobody")))

    def freeze(self) -> None:
        """Frozen seldom, and let go by two."""
        who = self.one_of_them()
        self.types(who, "freeze because we can")
        for _ in range(3):
            self.chance.choice((self.ask_grant, self.answer_well))()
        self.settle()
        said = self.types(who, "unfreeze")
        found = re.search(r"PRO-[0-9a-f]+", said)
        for other in (*PAIR, "ingrid"):
            if found:
                self.presses(other, "agree", found[0])

    def bind(self) -> None:
        other = COMPANY.person(self.chance.choice(OTHERS))
        self.types("omar", f"bind <@{other.slack_id}|x> {COMPANY.person(self.anybody()).account_id}")

    def wait(self) -> None:
        """Time goes on: pauses end, grants end, questions lapse."""
        self.moved += self.chance.choice(
            (timedelta(minutes=6), timedelta(minutes=35), timedelta(hours=3), timedelta(hours=26))
        )
        self.bot.store.move_time(self.moved)
        self.bot.atlassian.set_clock(self.moved.total_seconds())

    def move(self) -> None:
        moves: tuple[tuple[Callable[[], None], int], ...] = (
            (self.ask_grant, 22), (self.ask_verb, 12), (self.answer, 30), (self.answer_well, 14), (self.take_back, 6),
            (self.forge, 4), (self.look, 2), (self.delegate, 2), (self.bind, 1), (self.wait, 6), (self.freeze, 1),
            (self.road, 2), (self.less, 2),
        )  # fmt: skip
        one = self.chance.choices([move for move, _ in moves], [weight for _, weight in moves])[0]
        self.moves[one.__name__] += 1
        one()


def kind_of(said: str) -> str:
    """An answer without ids, names and figures, so that there are few of them."""
    return re.sub(r"REQ-\w+|PRO-\w+|<@\w+>|\d\d+", "…", said)[:400]
