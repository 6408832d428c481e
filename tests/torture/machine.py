"""One process of the simulated bot: its web side and its workers, wired as in a house, over the record of all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from approvals import jobs
from approvals.counting import Counting
from approvals.glass import Glass, GlassDesk
from approvals.models import AccessRequest, News
from approvals.performing import unfreeze
from approvals.planning import Planning
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.proposals import Proposals
from approvals.provisioning import Effects, Provisioning
from approvals.reconciliation import Reconciliation
from approvals.reviews import Reviews
from approvals.states import Status
from approvals.store import Store
from approvals.waiting import Waiting
from approvals.workflow import Workflow
from bot.announcer import Announcer
from bot.mirror import Mirror
from bot.review_cards import ReviewCards
from bot.sandbox import seed
from bot.slack_out import SlackOut
from bot.sources import Sources
from bot.worker import Worker
from handlers.cards import Drawing
from tests.torture.crew import Bell, Body
from tests.torture.messages import CHANNEL
from tests.torture.weather import HOUR

if TYPE_CHECKING:
    from tests.torture.simulation import Simulation

LOOKS_ON = 2 * HOUR  # after the last trouble: then the record is held against Atlassian no more, which takes long
BOOK = PolicyBook()  # what it has parsed is the same in every run


class Machine(Body):
    """``threads`` greenlets work, one does what is most urgent, and one keeps the leases.

    Whoever sends a command runs the web side.
    """

    def __init__(self, run: Simulation, name: str, threads: int) -> None:
        super().__init__(name)
        self.run = run
        self.store = store = Store(run.record)
        slack = cast(SlackOut, run.slack)
        self.mirror = Mirror(store, slack, run.organization, frozenset({seed.SLACK_TEAM}), cast(Sources, Unread()))
        self.workflow = Workflow(store, BOOK)
        self.glass = GlassDesk(store, BOOK)
        self.reviews = Reviews(store, BOOK, self.workflow)
        self.proposals = Proposals(store, BOOK, self.mirror, {"unfreeze": unfreeze})
        book = cast(PolicyBook, Repairing() if run.looks == "repair" else BOOK)
        self.reconciliation = Reconciliation(store, run.organization, book, lambda action: False, True)
        self.worker = SimulatedWorker(run, self._kinds(slack), store)
        self._threads = threads

    def work(self) -> None:
        """Begin with the worker's own loops."""
        if self.run.looks:
            self.run.insist(self.reconciliation.start)
        for _ in range(self._threads):
            self.run.crew.begin(self.worker._loop, body=self, after=self.run.chance.uniform(0.0, 0.5))
        self.run.crew.begin(lambda: self.worker._loop(jobs.ENDS), body=self)
        self.run.crew.begin(self.worker._beat, body=self)

    def _kinds(self, slack: SlackOut) -> dict[str, Callable[[jobs.Claim], None]]:
        store, run = self.store, self.run
        provisioning = Provisioning(store, run.organization, self.mirror, BOOK, Effects.ON)
        glass = Glass(store, BOOK, run.organization, self.mirror, Incidents())
        crier = Announcer(store, slack, BOOK, "https://admin.example") if run.cards else Crier(store, slack)
        return {
            "plan": Planning(store, run.organization, BOOK, self.mirror).plan,
            "count": Counting(store, BOOK, self.mirror).count,
            "wait": Waiting(store, BOOK).look,
            "apply": provisioning.apply,
            "end": provisioning.ending.end,
            "group end": provisioning.ending_together.end,
            "glass": glass.judge,
            "glass heard": glass.heard,
            "review": ReviewCards(store, slack, BOOK).draw if run.cards else nothing,
            "review due": self.reviews.due,
            "misuse": self.reviews.propose_suspension,
            "agree": self.proposals.judge,
            "proposal over": self.proposals.over,
            "draw": crier.draw,
            "tell": crier.tell,
            "reconcile": self._reconcile,
        }

    def _reconcile(self, claim: jobs.Claim) -> None:
        """Every minute and every quarter of an hour, as long as there is anything to see."""
        if self.run.clock.true < self.run.weather.trouble.lasts + LOOKS_ON:
            self.reconciliation.run(claim)


def nothing(claim: jobs.Claim) -> None:
    return None


class Repairing:
    """The same policy, but that it mends what differs."""

    def current(self, db: Any) -> Policy:
        policy = BOOK.current(db)
        return replace(policy, reconciliation=replace(policy.reconciliation, repairs=True))


class Unread:
    """No source of this policy is looked up."""

    policies = BOOK

    def refresh(self, sources: Any) -> None:
        return None


class Incidents:
    """Every incident is open."""

    def state(self, incident: str) -> Any:
        return "open"


class Crier:
    """Says what is to be said without drawing it, for runs in which the drawing is not what is tried."""

    def __init__(self, store: Store, slack: SlackOut) -> None:
        self.store = store
        self.slack = slack
        self._asked: set[tuple[str, int]] = set()

    def draw(self, claim: jobs.Claim) -> None:
        with self.store.read() as session:
            request = session.get(AccessRequest, claim.about)
        if request is None or request.status != Status.PENDING or (request.id, request.version) in self._asked:
            return
        button = {"action_id": "approve", "value": f"{request.id}:{request.version}"}
        question = Drawing("a question", [{"type": "actions", "elements": [button]}])
        self.slack.post(CHANNEL, question, about=f"{request.id}/channel")
        self._asked.add((request.id, request.version))

    def tell(self, claim: jobs.Claim) -> None:
        with self.store.read() as session:
            news = session.get(News, int(claim.about))
        if news is None or news.told_at is not None:
            return
        said = {"kind": news.kind, "request": news.request_id or "", "place": news.place,
                "facts": json.loads(news.facts)}  # fmt: skip
        where = f"D-{news.user}" if news.place == "person" else CHANNEL
        self.slack.post(where, Drawing(json.dumps(said), []), about=f"news {news.id}")
        with self.store.work(claim, last=True) as w:
            row = w.session.get_one(News, news.id)
            row.told_at = w.now


class SimulatedWorker(Worker):
    """The worker itself; what it waits with, and whose clock it looks at, are the simulation's."""

    def __init__(self, run: Simulation, kinds: dict[str, Callable[[jobs.Claim], None]], store: Store) -> None:
        super().__init__(store, kinds, threads=0, poll=1e9)
        self.kinds = Kinds(run, kinds)
        self._lock = cast(Any, nullcontext())  # nobody pauses inside, but where they wait
        self._work = cast(Any, Bell(run.crew, lambda: run.record.due_in(run.clock)))
        self._ends = cast(Any, Bell(run.crew, lambda: run.record.due_in(run.clock, jobs.ENDS)))
        held = Held(run)
        self._held = held
        self._stopping = cast(Any, held)

    def wake_all(self, after: float = 0.0) -> None:
        """There may be work that somebody else has left; whoever is about to wait looks for it anyway."""
        self._work.notify_all(after)
        self._ends.notify_all(after)


class Kinds(dict[str, Callable[[jobs.Claim], None]]):
    """What jobs do. Those of other parts of the bot are not part of these runs: done at once, and counted by name."""

    def __init__(self, run: Simulation, kinds: dict[str, Callable[[jobs.Claim], None]]) -> None:
        super().__init__(kinds)
        self._met = run.met

    def __missing__(self, kind: str) -> Callable[[jobs.Claim], None]:
        self._met[f"left out {kind}"] += 1
        return nothing


class Held(dict[int, jobs.Claim]):
    """The claims at hand, and the event that stops nobody: the heartbeat sleeps while there is nothing to keep."""

    def __init__(self, run: Simulation) -> None:
        super().__init__()
        self.crew = run.crew
        self._something = Bell(run.crew)

    def __setitem__(self, id: int, claim: jobs.Claim) -> None:
        super().__setitem__(id, claim)
        self._something.notify()

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        if seconds >= 5.0 and not self:  # the heartbeat, which is the only one that waits for so long
            self._something.wait(1e9)
        self.crew.pause(seconds)
        return False
