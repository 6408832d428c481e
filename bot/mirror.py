"""Refreshes the local copy of who people are: Slack's users and the organization's accounts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import bindparam
from sqlmodel import col, select

from approvals import bindings, jobs
from approvals.models import Binding, Meta, Person, SlackUser
from approvals.policy import Policy, Source
from approvals.ports import PeopleError
from approvals.store import MACHINE, Store
from bot.managers import Managers
from bot.slack_out import SlackError, SlackOut
from bot.sources import Sources
from handlers.text import plain

FRESH = timedelta(seconds=60)  # a decision never rests on anything older
EVERY = timedelta(minutes=10)
READ = "mirror "  # + slack or atlassian: when everybody was read last


_READ_AT = select(SlackUser.read_at).where(SlackUser.team == bindparam("team"), SlackUser.user == bindparam("user"))


class Account(Protocol):
    """What the mirror keeps of an account of the organization."""

    @property
    def account_id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def email(self) -> str | None: ...


class Mirror:
    """The jobs ``mirror`` and ``look up``, and the fresh look that decisions ask for."""

    def __init__(
        self, store: Store, slack: SlackOut, accounts: "Accounts", teams: frozenset[str], sources: Sources
    ) -> None:
        self.store = store
        self.slack = slack
        self.accounts = accounts
        self.teams = teams
        self.sources = sources
        self.managers = Managers(store, slack)

    def refresh(self, team: str, user: str) -> None:
        """See ``approvals.ports.People``."""
        with self.store.look() as connection:
            read_at = connection.execute(_READ_AT, {"team": team, "user": user}).scalar()
            now = self.store.time_in(connection)
        if read_at is not None and timedelta(0) <= now - read_at < FRESH:
            return
        self._read(team, user)

    def refresh_sources(self, policy: Policy, sources: Iterable[Source], subject: str) -> None:
        """See ``approvals.ports.People``."""
        self.sources.refresh(sources)
        self.managers.refresh(policy, subject)

    def look_up(self, claim: jobs.Claim) -> None:
        """Somebody whom the mirror or the bindings do not know has spoken: who are they, and whose is their address?"""
        team, _, user = claim.about.partition("/")
        found = self._read(team, user)
        with self.store.read() as session:
            if session.get(Binding, (team, user)) is not None:
                return
        domains = self.accounts.domains()
        with self.store.work(claim, last=True) as w:
            row = w.session.get(SlackUser, (team, user))
            if row is None or w.session.get(Binding, (team, user)) is not None:
                return
            try:
                confirmed = bool(found.get("is_email_confirmed"))
                account = bindings.match(w.session, row, mail_confirmed=confirmed, domains=domains)
            except bindings.NoMatch:
                return  # they have read what to do in the acknowledgement
            bindings.bind(w, team, user, account, how="match", actor=MACHINE, confirmed=False, mail=row.mail)

    def run(self, claim: jobs.Claim) -> None:
        """Read everybody again, and ask for the next time."""
        if claim.about == "slack":
            self._slack()
        else:
            self._atlassian()
        with self.store.work(claim) as w:
            bindings.drop_changed(w)
            w.session.merge(Meta(key=f"{READ}{claim.about}", value=w.now.isoformat()))
            w.enqueue("mirror", claim.about, at=w.now + EVERY, priority=jobs.BACKGROUND)

    def start(self) -> None:
        """Ask for a first refresh at once."""
        with self.store.write() as w:
            w.enqueue("mirror", "slack", priority=jobs.PEOPLE)
            w.enqueue("mirror", "atlassian", priority=jobs.BACKGROUND)
            w.enqueue("sources", "all", priority=jobs.BACKGROUND)

    def _read(self, team: str, user: str) -> dict[str, Any]:
        try:
            found = self.slack.user(user)
        except SlackError as error:
            if error.code in {"user_not_found", "user_not_visible"}:
                found = {"id": user, "team_id": team, "is_stranger": True}
            else:
                raise PeopleError(str(error), retry=error.retry, after=error.after) from None
        with self.store.write() as w:
            w.session.merge(self._row(found, team, w.now))
            bindings.drop_changed(w)
        return found

    def _slack(self) -> None:
        rows = self.slack.users()
        for page in _pages(rows, 100):
            with self.store.write() as w:
                for user in page:
                    w.session.merge(self._row(user, user.get("team_id", ""), w.now))

    def _atlassian(self) -> None:
        for page in _pages(self.accounts.everyone(), 100):
            with self.store.write() as w:
                known = {row.account: row for row in _people(w.session, [account.account_id for account in page])}
                for account in page:
                    row = known.get(account.account_id) or Person(
                        account=account.account_id, name="", mail="", read_at=w.now
                    )
                    row.name = _shown(account.name or row.name or account.account_id)
                    row.mail = _shown(account.email or row.mail).lower()
                    row.read_at = w.now
                    w.session.add(row)

    def _row(self, user: dict[str, Any], team: str, now: datetime) -> SlackUser:
        profile = user.get("profile", {})
        return SlackUser(
            team=team,
            user=user["id"],
            name=_shown(profile.get("display_name") or profile.get("real_name") or user.get("name", user["id"])),
            mail=_shown(profile.get("email") or "").lower(),
            standing=standing(user, self.teams),
            zone=_shown(user.get("tz") or ""),
            read_at=now,
        )


class Accounts(Protocol):
    """Where the accounts of the organization are read."""

    def everyone(self) -> Iterable[Account]: ...
    def domains(self) -> frozenset[str]: ...


def standing(user: dict[str, Any], teams: frozenset[str]) -> str:
    """What kind of member Slack says this is. https://docs.slack.dev/reference/objects/user-object"""
    if user.get("deleted"):
        return "deleted"
    if user.get("is_bot") or user["id"] == "USLACKBOT":
        return "bot"
    if user.get("is_stranger") or user.get("team_id") not in teams:
        return "stranger"
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return "guest"
    return "member"


def _shown(text: str) -> str:
    """Without what can't be seen or stored: one such name must not stop the mirror for everybody."""
    return plain(text, 300).replace("\n", " ")


def _people(session: Any, accounts: list[str]) -> list[Person]:
    return list(session.exec(select(Person).where(col(Person.account).in_(accounts))))


def _pages(rows: Iterable[Any], size: int) -> Iterable[list[Any]]:
    page: list[Any] = []
    for row in rows:
        page.append(row)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
