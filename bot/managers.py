"""Who manages whom by a field of Slack's profiles, read when a question needs it; what can't be read is nobody."""

from datetime import timedelta

import structlog
from sqlmodel import Session, select

from approvals import people
from approvals.crash import crash_point
from approvals.models import Binding, Manager
from approvals.policy import Policy
from approvals.store import Store
from bot.slack_out import SlackError, SlackOut

log = structlog.get_logger()
YOUNG = timedelta(seconds=45)
SOURCE = "slack_profile"


class Managers:
    """The table ``managers``, for the one source that is read person by person."""

    def __init__(self, store: Store, slack: SlackOut) -> None:
        self.store = store
        self.slack = slack

    def refresh(self, policy: Policy, account: str) -> None:
        """Read the subject's own field unless that was done a moment ago.

        The value of such a field is a Slack user id: https://docs.slack.dev/reference/methods/users.profile.get
        """
        if SOURCE not in policy.manager_sources or not account:
            return
        with self.store.read() as session:
            bound = people.slack_user_of(session, account)
            known = session.get(Manager, (account, SOURCE))
            now = self.store.time_in(session)
        if bound is None or (known is not None and timedelta(0) <= now - known.read_at < YOUNG):
            return
        crash_point("manager: before reading")
        value: str | None = None
        try:
            value = str(self.slack.profile_fields(bound.user).get(policy.manager_field, {}).get("value", ""))
        except SlackError as error:
            log.warning("a profile can't be read", why=error.code)
        crash_point("manager: read")
        with self.store.write() as w:
            row = w.session.get(Manager, (account, SOURCE))
            if value is None:  # not known, and nobody answers in their place
                if row is not None:
                    w.session.delete(row)
                return
            row = row or Manager(account=account, source=SOURCE, manager="", read_at=w.now)
            row.manager, row.read_at = _account(w.session, bound.team, value), w.now
            w.add(row)


def _account(session: Session, team: str, user: str) -> str:
    """The account of a Slack user; empty when the field is, or when they are not bound."""
    return session.exec(select(Binding.account).where(Binding.team == team, Binding.user == user)).first() or ""
