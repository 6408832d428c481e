"""After an account was made: who it is, what it opens, and the entitlements it was to have (the job ``welcome``)."""

from datetime import timedelta
from typing import Any

from sqlmodel import select

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import AccessRequest, Person
from approvals.plan import Newcomer
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import Arrived, Newcomers
from approvals.store import AlreadyThere, Store
from approvals.workflow import Ask, Refused, Workflow

LOOKS_AGAIN = 30.0  # seconds
SHOWN_WITHIN = timedelta(hours=24)


class Welcoming:
    """Waits until the organization shows the newcomer, then asks for each entitlement by its own rule."""

    def __init__(self, store: Store, directory: Newcomers, policies: PolicyBook, workflow: Workflow) -> None:
        self.store = store
        self.directory = directory
        self.policies = policies
        self.workflow = workflow

    def welcome(self, claim: jobs.Claim) -> None:
        with self.store.read() as session:
            request = session.get_one(AccessRequest, claim.about)
        newcomer = Newcomer.model_validate_json(request.value)
        crash_point("welcome: before looking")
        arrived = self.directory.arrived(newcomer.mail)
        crash_point("welcome: looked")
        if arrived is None:
            if self.store.now() < request.moved_at + SHOWN_WITHIN:
                raise jobs.Later(LOOKS_AGAIN, "the organization does not show the account yet")
            return self._say(claim, request, None, [], [f"`{name}`: there is no account yet" for name in newcomer.also])
        self._into_the_mirror(claim, arrived, newcomer.mail)
        asked, refused = [], []
        for name in newcomer.also:
            try:
                asked.append([self._ask(request, arrived.account, name), name])
            except Refused as because:
                refused.append(f"`{name}`: {because}")
        self._say(claim, request, arrived, asked, refused)

    def _into_the_mirror(self, claim: jobs.Claim, arrived: Arrived, mail: str) -> None:
        with self.store.work(claim) as w:
            known = w.session.get(Person, arrived.account)
            manager = known.manager if known else None
            w.session.merge(
                Person(account=arrived.account, name=arrived.name, mail=mail.lower(), manager=manager, read_at=w.now)
            )

    def _ask(self, request: AccessRequest, account: str, name: str) -> str:
        """The request for one entitlement, made once however often this runs; ``Refused`` says why there is none."""
        source = f"welcome:{request.id}:{name}"
        with self.store.read() as session:
            known = session.exec(select(AccessRequest.id).where(AccessRequest.source == source)).first()
            policy = self.policies.current(session)
            speaker = people.speaker(session, policy, request.team, request.user)
        if known is not None:
            return known
        if isinstance(speaker, people.Stop):
            raise Refused(f"whoever asked may ask no more ({speaker.because})")
        try:
            return self.workflow.ask(speaker, _wanted(policy, speaker, request, account, name, source)).id
        except AlreadyThere:
            raise Refused("it was refused before") from None

    def _say(
        self, claim: jobs.Claim, request: AccessRequest, arrived: Arrived | None, asked: list[list[str]],
        refused: list[str],
    ) -> None:  # fmt: skip
        facts: dict[str, Any] = {
            "account": arrived.account if arrived else "", "products": list(arrived.products) if arrived else [],
            "wishes": asked, "refused": refused,
        }  # fmt: skip
        with self.store.work(claim, last=True) as w:
            w.tell("welcomed", place="thread", request=request.id, once=f"welcomed:{request.id}", **facts)
            whom = {"team": request.team, "user": request.user}
            w.tell("welcomed", place="person", request=request.id, once=f"welcomed:{request.id}:asker", **whom, **facts)


def _wanted(policy: Policy, speaker: Speaker, request: AccessRequest, account: str, name: str, source: str) -> Ask:
    """For as long as the policy allows: a newcomer is to stay."""
    entitlement = policy.entitlement(name)
    longest = entitlement.longest if entitlement is not None else None
    return Ask("grant", account, name, longest, request.reason, source)
