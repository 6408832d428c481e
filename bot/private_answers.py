"""Fills a modal that waits for a private answer (the job ``private``)."""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, not_, or_, select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.facts import AccountFacts, Holder, TokenFacts
from approvals.models import AccessRequest, AuditEntry, BulkRow, Grant, Person, Preview
from approvals.planning import QUIET
from approvals.policy import Entitlement, Policy
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.reconciliation import drifts_of
from approvals.states import LIVE, OPEN
from approvals.store import Store
from bot.previews import OPENS
from bot.slack_out import SlackError, SlackOut
from handlers.private import Page, Wanted, draw_private, may_delete_tokens, may_list, may_look
from handlers.private_lines import (
    how_to_delete_tokens,
    lines_of_account,
    lines_of_holders,
    lines_of_record,
    lines_of_tokens,
    people_in,
)
from handlers.text import esc
from handlers.view import may_see

OVER = {"not_found", "view_not_found", "hash_conflict"}  # it was closed meanwhile, or is not open yet
NOT_ANY_MORE = ":no_entry: You may not see this any more."
A_PAGE = 40  # entries of the record


@dataclass(frozen=True)
class Answer:
    """What the window shows, and the buttons to its other pages."""

    lines: list[str]
    pages: tuple[Page, ...] = ()


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
            answer = self._answer(preview, wanted)
        except Impossible as no:
            answer = Answer([f":no_entry: {esc(str(no), 900)}"])
        except DirectoryError as error:
            answer = Answer([f":warning: Atlassian can't be read just now: {esc(str(error), 500)}"])
        crash_point("private: before filling")
        view = draw_private(wanted.kind, preview.id, answer.lines, answer.pages, wanted.as_text())
        try:
            self.slack.update_private(preview.id, view)
        except SlackError as error:
            if error.code not in OVER:
                raise
            if not wanted.before and self.store.now() - preview.at < OPENS:  # this job may be sooner than Slack
                raise jobs.Later(0.3, "the window is not open yet") from None
        crash_point("private: filled")
        with self.store.work(claim) as w:
            there = w.session.get(Preview, preview.id)
            if there is not None and there.form == preview.form:  # else another page is asked for already
                w.session.delete(there)

    def _answer(self, preview: Preview, wanted: Wanted) -> Answer:
        with self.store.read() as session:
            policy = self.policies.current(session)
            speaker = people.speaker(session, policy, preview.team, preview.user)
            if isinstance(speaker, people.Stop):
                return Answer([NOT_ANY_MORE])
            allowed, entitlement = self._still_allowed(session, policy, speaker, wanted)
            if not allowed:
                return Answer([NOT_ANY_MORE])
            if wanted.kind == "audit":
                hidden = self._hidden_from(session, policy, speaker, wanted)
                return _of_the_record(session, wanted, hidden)
            grants = _grants(session, wanted)
            drifts = drifts_of(session, entitlement=entitlement.name) if entitlement is not None else []
            names = people.names(session, {drift.account for drift in drifts})
            deletable = wanted.kind == "tokens" and may_delete_tokens(
                session, policy, speaker, wanted.account, self.store.time_in(session)
            )
            person = session.get(Person, wanted.account)
            mail = person.mail if person else ""
        if wanted.kind == "whois":
            return Answer(lines_of_account(self.register.about(wanted.account), grants))
        if wanted.kind == "tokens":
            found = self.register.tokens(wanted.account)
            how = how_to_delete_tokens(mail or wanted.account) if found and deletable else []
            return Answer([*lines_of_tokens(found), *how])
        assert entitlement is not None
        holders, cut = self.register.holders(entitlement)
        held = {grant.account: grant for grant in grants}
        return Answer(lines_of_holders(entitlement, holders, cut, held, drifts, names))

    def _still_allowed(
        self, session: Session, policy: Policy, speaker: Speaker, wanted: Wanted
    ) -> tuple[bool, Entitlement | None]:
        if wanted.request:
            request = session.get(AccessRequest, wanted.request)
            now = self.store.time_in(session)
            return request is not None and may_see(session, policy, speaker, request, now), None
        if wanted.kind == "who":
            entitlement = policy.entitlement(wanted.entitlement)
            return entitlement is not None and may_list(policy, speaker, entitlement), entitlement
        return may_look(session, policy, speaker, wanted.account, self.store.time_in(session)), None

    def _hidden_from(self, session: Session, policy: Policy, speaker: Speaker, wanted: Wanted) -> list[str]:
        """The requests of a person that do not exist for whoever looks, asked one by one as by their id.

        Those that are quiet; and each list with a row of theirs, for it is about everybody else in it as well.
        """
        quiet = and_(col(AccessRequest.verb).in_(QUIET), col(AccessRequest.status).in_(OPEN))
        looked_at = or_(quiet, not_(_their_own(wanted.account)))
        found = session.exec(select(AccessRequest).where(_concerns(wanted.account), looked_at)).all()
        now = self.store.time_in(session)
        return [request.id for request in found if not may_see(session, policy, speaker, request, now)]


def _grants(session: Session, wanted: Wanted) -> list[Grant]:
    """What is held through Gatehouse, by an account or of an entitlement."""
    if wanted.kind not in ("whois", "who"):
        return []
    about = Grant.account == wanted.account if wanted.kind == "whois" else Grant.entitlement == wanted.entitlement
    return list(session.exec(select(Grant).where(about, col(Grant.status).in_(LIVE)).order_by(col(Grant.id))))


def _concerns(account: str) -> ColumnElement[bool]:
    """What somebody asked for, and what is about them, alone or as a row of a list that was not refused."""
    rows = select(BulkRow.request_id).where(BulkRow.account == account, BulkRow.state != "refused")
    return or_(_their_own(account), col(AccessRequest.id).in_(rows))


def _their_own(account: str) -> ColumnElement[bool]:
    return or_(col(AccessRequest.requester) == account, col(AccessRequest.subject) == account)


def _of_the_record(session: Session, wanted: Wanted, hidden: list[str]) -> Answer:
    """One page, the oldest of it first, and the buttons to the page before it and back to the newest."""
    entries = _entries(session, wanted, hidden)
    more = len(entries) > A_PAGE
    page = sorted(entries[:A_PAGE], key=lambda entry: entry.seq)
    lines = lines_of_record(page, people.names(session, people_in(page)))
    buttons = [Page("Older", page[0].seq)] if more else []
    buttons += [Page("Newest", 0)] if wanted.before else []
    return Answer(lines, tuple(buttons))


def _entries(session: Session, wanted: Wanted, hidden: list[str]) -> list[AuditEntry]:
    """Of a request; of a person, what they asked for and what is about them, but for what is hidden.

    The newest first, one more than a page has.
    """
    if wanted.request:
        query = select(AuditEntry).where(AuditEntry.request_id == wanted.request)
    else:
        shown = select(AccessRequest.id).where(_concerns(wanted.account), col(AccessRequest.id).not_in(hidden))
        query = select(AuditEntry).where(col(AuditEntry.request_id).in_(shown))
    if wanted.before:
        query = query.where(AuditEntry.seq < wanted.before)
    return list(session.exec(query.order_by(col(AuditEntry.seq).desc()).limit(A_PAGE + 1)))
