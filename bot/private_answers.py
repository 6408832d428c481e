"""Fills a modal that waits for a private answer (the job ``private``)."""

import json
from dataclasses import dataclass
from typing import Protocol

from sqlmodel import Session, and_, col, not_, or_, select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.facts import AccountFacts, Holder, TokenFacts
from approvals.models import AccessRequest, AuditEntry, Grant, Preview
from approvals.planning import QUIET
from approvals.policy import Entitlement
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.states import LIVE, OPEN
from approvals.store import Store
from bot.slack_out import SlackError, SlackOut
from handlers.private import Wanted, draw_private, may_list, may_look
from handlers.private_lines import lines_of_account, lines_of_holders, lines_of_record, lines_of_tokens
from handlers.text import esc
from handlers.view import may_see

OVER = {"not_found", "view_not_found", "hash_conflict"}  # it was closed meanwhile
MOST_ENTRIES = 300


class Register(Protocol):
    """Where accounts and holders are read."""

    def about(self, account: str) -> AccountFacts: ...
    def tokens(self, account: str) -> list[TokenFacts]: ...
    def holders(self, entitlement: Entitlement) -> tuple[list[Holder], bool]: ...


@dataclass
class PrivateAnswers:
    """Reads what was asked for and shows it to whoever asked; who asks is looked at once more."""

    store: Store
    slack: SlackOut
    register: Register
    policies: PolicyBook

    def fill(self, claim: jobs.Claim) -> None:
        """One modal, filled once; one that was closed is left alone."""
        with self.store.read() as session:
            preview = session.get(Preview, claim.about)
        if preview is None:
            return
        wanted = Wanted.from_text(preview.form)
        try:
            lines = self._lines(preview, wanted)
        except Impossible as no:
            lines = [f":no_entry: {esc(str(no), 900)}"]
        except DirectoryError as error:
            lines = [f":warning: Atlassian can't be read just now: {esc(str(error), 500)}"]
        crash_point("private: before filling")
        try:
            self.slack.update_private(preview.id, draw_private(wanted.kind, preview.id, lines))
        except SlackError as error:
            if error.code not in OVER:
                raise
        crash_point("private: filled")
        with self.store.work(claim) as w:
            w.session.delete(w.session.get_one(Preview, preview.id))

    def _lines(self, preview: Preview, wanted: Wanted) -> list[str]:
        with self.store.read() as session:
            allowed, entitlement = self._still_allowed(session, preview, wanted)
            grants = _grants(session, wanted)
            entries = _entries(session, wanted) if wanted.kind == "audit" else []
            names = people.names(session, _actors(entries))
        if not allowed:
            return [":no_entry: You may not see this any more."]
        match wanted.kind:
            case "whois":
                return lines_of_account(self.register.about(wanted.account), grants)
            case "tokens":
                return lines_of_tokens(self.register.tokens(wanted.account))
            case "who" if entitlement is not None:
                holders, cut = self.register.holders(entitlement)
                return lines_of_holders(entitlement, holders, cut, {grant.account: grant for grant in grants})
        return lines_of_record(entries, names)

    def _still_allowed(self, session: Session, preview: Preview, wanted: Wanted) -> tuple[bool, Entitlement | None]:
        policy = self.policies.current(session)
        speaker = people.speaker(session, policy, preview.team, preview.user)
        if isinstance(speaker, people.Stop):
            return False, None
        if wanted.request:
            request = session.get(AccessRequest, wanted.request)
            now = self.store.time_in(session)
            return request is not None and may_see(session, policy, speaker, request, now), None
        if wanted.kind == "who":
            entitlement = policy.entitlement(wanted.entitlement)
            return entitlement is not None and may_list(policy, speaker, entitlement), entitlement
        return may_look(session, policy, speaker, wanted.account), None


def _grants(session: Session, wanted: Wanted) -> list[Grant]:
    """What is held through Gatehouse, by an account or of an entitlement."""
    if wanted.kind not in ("whois", "who"):
        return []
    about = Grant.account == wanted.account if wanted.kind == "whois" else Grant.entitlement == wanted.entitlement
    return list(session.exec(select(Grant).where(about, col(Grant.status).in_(LIVE)).order_by(col(Grant.id))))


def _entries(session: Session, wanted: Wanted) -> list[AuditEntry]:
    """Of a request; of a person, what they asked for and what is about them, but nothing quiet before the deed."""
    if wanted.request:
        query = select(AuditEntry).where(AuditEntry.request_id == wanted.request)
    else:
        quiet = and_(col(AccessRequest.verb).in_(QUIET), col(AccessRequest.status).in_(OPEN))
        about = and_(AccessRequest.subject == wanted.account, not_(quiet))
        mine = or_(AccessRequest.requester == wanted.account, about)
        query = select(AuditEntry).where(col(AuditEntry.request_id).in_(select(AccessRequest.id).where(mine)))
    newest = session.exec(query.order_by(col(AuditEntry.seq).desc()).limit(MOST_ENTRIES)).all()
    return sorted(newest, key=lambda entry: entry.seq)


def _actors(entries: list[AuditEntry]) -> set[str]:
    return {json.loads(entry.body)["actor"] for entry in entries}
