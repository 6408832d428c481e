"""Whatever happens to one request at the same instant, by threads of several processes: one of it wins."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import compress

import pytest
from sqlmodel import col, select

from approvals.database import Database
from approvals.models import AccessRequest, AuditEntry, News, Vote
from approvals.store import MACHINE, Store
from tests.support.rivals import SLOTS, Answers, Contest, Deed, Rivals, rivals
from tests.support.share import SEED, SHARE, part_of, time_is_up
from tests.support.world import World, account

CONTESTS = 10_000  # half of them on each engine
MOST = 8  # times as many are fought at most until everything has won
AT_ONCE = 25  # are made ready, fought and judged together
ASKERS = ("ada", "tomas", "nadia")  # whom Grace manages; Mei owns the one thing
ASKED, HELD = "eu-confluence-admins", "eu-jira-admins"
OF_GRANTS = 4  # every fourth is about something that is held
OUTCOMES = {"approve": "request.approved", "deny": "request.denied", "cancel": "request.cancelled",
            "lapse": "request.lapsed"}  # fmt: skip


@pytest.mark.torture
def test_of_all_that_happens_to_a_request_at_once_one_wins(
    database_url: str, record_property: Callable[[str, object], None]
) -> None:
    draw, met, fought, enough, over = random.Random(SEED), Counter[str](), 0, part_of(CONTESTS // 2), time_is_up()
    with closing(Database(database_url)) as database, rivals(database_url) as crowd:
        world = World(Store(database))
        while not (fought >= enough or over()) or (too_rare(met, fought) and fought < MOST * enough):
            met.update(fight(world, crowd, draw, fought))
            fought += AT_ONCE
        assert world.store.verify().problems == []
    reach = ", ".join(f"{times} {what}" for what, times in sorted(met.items()))
    record_property("reach", f"{fought} contests on {database_url.partition(':')[0]}: {reach}")
    assert not too_rare(met, fought), reach


def too_rare(met: Counter[str], fought: int) -> list[str]:
    """What has not won often enough to mean anything: a hundred times of all contests, of some of them a part."""
    wanted = max(1.0, 100 * min(SHARE, fought / (CONTESTS // 2)))
    return [what for what in (*OUTCOMES, "end", "expire") if met[f"won by {what}"] < wanted]


def fight(world: World, crowd: Rivals, draw: random.Random, before: int) -> Iterator[str]:
    """So many contests, made ready, fought and judged; who won them, against what."""
    held = [n % OF_GRANTS == 0 for n in range(AT_ONCE)]
    requests = [
        world.ask(draw.choice(ASKERS), HELD if given else ASKED, length=timedelta(hours=1, seconds=n),
                  source=f"contest {before + n}")
        for n, given in enumerate(held)
    ]  # fmt: skip
    world.run()
    for request in compress(requests, held):
        world.click("grace", request)
    world.run()
    contests = [about_a_grant(world, draw, request) if given else about_a_question(draw, request)
                for request, given in zip(requests, held, strict=True)]  # fmt: skip
    answers = crowd.fight(contests)
    world.worker.kinds["apply"], apply = (lambda claim: None), world.worker.kinds["apply"]
    world.run()
    world.worker.kinds["apply"] = apply
    for request, given, contest in zip(requests, held, contests, strict=True):
        mine = [(deed, why) for deed, why in answers if deed.request == request.id]
        assert len(mine) == len(contest)
        yield from judge_a_grant(world, request, mine) if given else judge_a_question(world, request, mine)
    make_room(world, requests)


def asker_of(request: AccessRequest) -> str:
    return next(who for who in ASKERS if account(who) == request.requester)


def about_a_question(draw: random.Random, request: AccessRequest) -> Contest:
    answers = [Deed(draw.choice(("approve", "deny")), who, request.id) for who in ("grace", "mei")]
    deeds = [*answers, Deed("cancel", asker_of(request), request.id, after=moment(draw)),
             Deed("lapse", "", request.id, after=moment(draw))]  # fmt: skip
    return in_slots(draw, draw.sample(deeds, draw.choice((2, 3, 4))))


def about_a_grant(world: World, draw: random.Random, request: AccessRequest) -> Contest:
    grant = world.grant(request)
    assert grant is not None, world.request(request)
    people = [Deed("end", who, request.id) for who in (asker_of(request), "sade")]
    deeds = [*people, Deed("expire", "", request.id, grant.id or 0, moment(draw))]
    return in_slots(draw, draw.sample(deeds, draw.choice((2, 3))))


def moment(draw: random.Random) -> float:
    return draw.choice((0.0, 0.005, 0.02))


def in_slots(draw: random.Random, deeds: Sequence[Deed]) -> Contest:
    return dict(zip(draw.sample(range(SLOTS), len(deeds)), deeds, strict=True))


def judge_a_question(world: World, request: AccessRequest, answers: Answers) -> Iterator[str]:
    """One decision in the chain; who lost was told so, each once; the vote that counted is the one that won."""
    events = entries(world, request)
    with world.store.read() as session:
        decided = [(does, event) for does, event in OUTCOMES.items() for _ in range(events[event])]
        assert len(decided) == 1, (request, answers, events)
        votes = session.exec(select(Vote).where(Vote.request_id == request.id)).all()
        refused = session.exec(select(News).where(News.request_id == request.id, News.kind == "vote_refused")).all()
    ((won, event),) = decided
    assert f"request.{world.request(request).status}" == event
    assert sum(vote.outcome == "counted" for vote in votes) == (won in ("approve", "deny"))
    assert {vote.choice for vote in votes if vote.outcome == "counted"} <= {won}
    assert sum(vote.outcome == "refused" for vote in votes) == len(refused)
    assert len(votes) == sum(deed.does in ("approve", "deny") for deed, _ in answers)
    assert all(bool(why) == (won != "cancel") for deed, why in answers if deed.does == "cancel"), (won, answers)
    yield f"won by {won}"


def judge_a_grant(world: World, request: AccessRequest, answers: Answers) -> Iterator[str]:
    """It ends once, whoever ended it."""
    events = entries(world, request)
    assert (events["grant.ending"], events["grant.ended"]) == (1, 1), (request, answers, events)
    taken = [deed for deed, why in answers if deed.does == "end" and not why]
    assert events["grant.end_asked"] == len(taken)
    grant = world.grant(request)
    assert grant is not None
    yield "won by end" if "ended early" in grant.because else "won by expire"


def entries(world: World, request: AccessRequest) -> Counter[str]:
    with world.store.read() as session:
        return Counter(session.exec(select(AuditEntry.event).where(AuditEntry.request_id == request.id)).all())


def make_room(world: World, requests: Sequence[AccessRequest]) -> None:
    """What was approved stands in nobody's way when the next are asked for."""
    world.directory.members.clear()
    with world.store.write() as w:
        for request in requests:
            now = w.request(request.id)
            if now.status == "approved":
                w.move(now, "refuse", actor=MACHINE, because="the contest is over")
        assert w.session.exec(select(News.id).where(col(News.kind) == "alarm").limit(1)).first() is None
