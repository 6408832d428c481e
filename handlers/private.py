"""What only whoever asked sees: whois, who, tokens and audit open a modal that a job fills. Never a channel message."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from approvals import authority, people
from approvals.authority import Case
from approvals.cases import facts_of
from approvals.crash import crash_point
from approvals.models import AccessRequest, Preview
from approvals.policy import Entitlement, Policy
from approvals.policy import Person as Speaker
from approvals.store import Actor
from handlers.desk import Desk, Said
from handlers.grant import FORM_IS_OPEN
from handlers.people import account_said
from handlers.text import esc, packed, plain
from handlers.view import may_see

TITLES = {"whois": "An account", "who": "Who holds it", "tokens": "API tokens", "audit": "The record"}
READING = ":hourglass_flowing_sand: Reading Atlassian…"
READING_THE_RECORD = ":hourglass_flowing_sand: Reading the record…"
BLOCKS = 95  # a modal has 100 at most
OLDER, NEWEST = "private_older", "private_newest"  # an action's id is there once in a row
View = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A button to another page of the record; ``before`` 0 is the newest."""

    says: str
    before: int


@dataclass(frozen=True)
class Wanted:
    """What a private answer is about: an account, an entitlement or a request."""

    kind: str  # whois | who | tokens | audit
    account: str = ""
    entitlement: str = ""
    request: str = ""
    before: int = 0  # of the record: only what is older than this entry

    def as_text(self) -> str:
        return json.dumps(vars(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> "Wanted":
        return cls(**json.loads(text))


def whois(desk: Desk, speaker: Speaker, said: Said) -> str:
    """The state of an account: one's own, one's reports', anybody's for the roles that look after people."""
    return _about_somebody(desk, speaker, said, "whois", "Whose account? Type `/access whois @who`.")


def tokens(desk: Desk, speaker: Speaker, said: Said) -> str:
    """The API tokens of an account; their labels are shown and kept nowhere."""
    return _about_somebody(desk, speaker, said, "tokens", "Whose tokens? Type `/access tokens @who`.")


def who(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Who holds an entitlement: for its owner and the roles that look after people."""
    name = said.command.entitlement
    if not name:
        return "Who holds what? Type `/access who entitlement`."
    with desk.store.read() as session:
        policy = desk.policy(session)
        entitlement = policy.entitlement(name)
    if entitlement is None or not may_list(policy, speaker, entitlement):
        near = [one for one in policy.nearest(name) if _may_list_named(policy, speaker, one)]
        hint = f" Did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""
        none_such = f"There is no entitlement `{esc(name)}` whose holders you may see.{hint}"
        return _turned_away(desk, speaker, said, none_such)
    return _open(desk, speaker, said, Wanted("who", entitlement=entitlement.name))


def audit(desk: Desk, speaker: Speaker, said: Said) -> str:
    """What the record has about a request, or about what concerns a person."""
    command = said.command
    if command.request_id:
        with desk.store.read() as session:
            request = session.get(AccessRequest, command.request_id)
            now = desk.store.time_in(session)
            seen = request is not None and may_see(session, desk.policy(session), speaker, request, now)
        if not seen:
            none_such = f"There is no request {command.request_id} that you may see. `/access mine` lists yours."
            return _turned_away(desk, speaker, said, none_such)
        return _open(desk, speaker, said, Wanted("audit", request=command.request_id))
    return _about_somebody(desk, speaker, said, "audit", "Of what? Type `/access audit REQ-…` or `/access audit @who`.")


def may_look(session: Session, policy: Policy, speaker: Speaker, account: str, now: datetime) -> bool:
    """At somebody's account: oneself, one's reports, and the roles that look after people."""
    if speaker.account == account or speaker.account == people.manager_of(session, policy, account, now):
        return True
    return bool(authority.may_do("read others", speaker))


def may_list(policy: Policy, speaker: Speaker, entitlement: Entitlement) -> bool:
    """The holders of an entitlement: its owner, and the roles that look after people."""
    owner = entitlement.owner is not None and entitlement.owner.account == speaker.account
    return owner or bool(authority.may_do("read others", speaker))


def _may_list_named(policy: Policy, speaker: Speaker, name: str) -> bool:
    entitlement = policy.entitlement(name)
    return entitlement is not None and may_list(policy, speaker, entitlement)


def _about_somebody(desk: Desk, speaker: Speaker, said: Said, kind: str, usage: str) -> str:
    subject = said.command.subject
    with desk.store.read() as session:
        policy = desk.policy(session)
        account = account_said(session, speaker, subject)
        allowed = account is not None and may_look(session, policy, speaker, account, desk.store.time_in(session))
    if subject is None and not said.command.myself:
        return usage
    if account is None or not allowed:
        return _turned_away(desk, speaker, said, "There is nobody of that name whose account you may look at.")
    return _open(desk, speaker, said, Wanted(kind, account=account))


def _turned_away(desk: Desk, speaker: Speaker, said: Said, because: str) -> str:
    desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
    return because


def _open(desk: Desk, speaker: Speaker, said: Said, wanted: Wanted) -> str:
    """The job that fills it is committed first, then the modal is opened; who looked at what is in the record."""
    external = f"private:{said.source[:60]}"
    with desk.store.write() as w:
        w.session.merge(_preview(external, speaker, wanted, w.now))
        data = {key: value for key, value in vars(wanted).items() if value}
        w.audit("looked at", actor=Actor(speaker.account, speaker.team, speaker.user), data=data)
        w.enqueue("private", external)
    crash_point("private: before opening")
    reading = READING_THE_RECORD if wanted.kind == "audit" else READING
    opened = desk.open_view(said.trigger, draw_private(wanted.kind, external, [reading]))
    crash_point("private: opened")
    if opened:
        return FORM_IS_OPEN
    return "Slack did not open the window for it. Please try again; nothing of it is ever said in a channel."


def _preview(external: str, speaker: Speaker, wanted: Wanted, now: datetime) -> Preview:
    return Preview(
        id=external, hash="", team=speaker.team, user=speaker.user, subject=wanted.account,
        entitlement=wanted.entitlement, form=wanted.as_text(), at=now,
    )  # fmt: skip


def older(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The button under a page of the record: a job fills the same window with the page that the button names."""
    view = body["view"]
    with desk.store.read() as session:
        speaker = people.speaker(session, desk.policy(session), body["team"]["id"], body["user"]["id"])
    before = str(body["actions"][0].get("value", ""))
    if not isinstance(speaker, people.Stop) and before.isdigit() and view.get("private_metadata"):
        wanted = replace(Wanted.from_text(view["private_metadata"]), before=int(before))
        with desk.store.write() as w:
            w.session.merge(_preview(view["external_id"], speaker, wanted, w.now))
            w.enqueue("private", view["external_id"])
    ack()


def may_delete_tokens(session: Session, policy: Policy, speaker: Speaker, account: str, now: datetime) -> bool:
    """Whether the policy lets them ask for it, as the workflow will judge it."""
    rule = policy.rule("tokens")
    if rule is None:
        return False
    case = Case(policy, rule, "tokens", speaker.account, account, facts_of(session, policy, rule, account, now))
    return bool(authority.may_request(case, speaker))


def draw_private(kind: str, external: str, lines: list[str], pages: Sequence[Page] = (), about: str = "") -> View:
    """The modal with these lines, of which as many are shown as there is room for; ``about`` is what it is of."""
    texts = packed(lines or ["Nothing."])
    blocks: list[View] = [_section(text) for text in texts[:BLOCKS]]
    if len(texts) > BLOCKS:
        left = sum(text.count("\n") + 1 for text in texts[BLOCKS:])
        blocks.append(_section(f"… and {left} more lines."))
    if pages:
        blocks.append({"type": "actions", "block_id": "pages", "elements": [_page(page) for page in pages]})
    return {
        "type": "modal",
        "callback_id": "private",
        "external_id": external,
        **({"private_metadata": about} if pages else {}),
        "title": {"type": "plain_text", "text": plain(TITLES[kind], 24)},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _section(text: str) -> View:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _page(page: Page) -> View:
    text = {"type": "plain_text", "text": page.says}
    action = OLDER if page.before else NEWEST
    return {"type": "button", "action_id": action, "text": text, "value": str(page.before)}
