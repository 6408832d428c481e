"""Which event is whose: right among other people's events of the same kind, late ones, doubles and gaps."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from approvals.correlating import SETTLED, UNANSWERED, Effect, Found, Seen, correlate, effects_of, explains, kind_of
from approvals.plan import Step, written_members
from tests.support.share import SEED, part_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ADDED = frozenset({"user_added_to_group"})
MINE = "scim:d1"
KNOWN = frozenset({MINE})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def effect(call: int = 1, begun: float = 0, over: float | None = 0.5, who: str = "ada", where: str = "g") -> Effect:
    end = None if over is None else at(over)
    return Effect(call, ADDED, MINE, frozenset({who}), frozenset({where} - {""}), at(begun), end)


def event(
    id: str = "e", when: float = 0.2, *about: str, mine: bool = True, action: str = "user_added_to_group"
) -> Seen:
    return Seen(id, action, at(when), frozenset(about or ("ada", "g")), frozenset({MINE} if mine else ()))


def decided(effects: list[Effect], events: list[Seen], known: frozenset[str] = KNOWN) -> dict[int, Found]:
    return correlate(effects, events, now=LATER, known=known)


def test_the_one_event_that_fits_is_it() -> None:
    found = decided([effect()], [event("e"), event("b", 0.2, "bob", "g"), event("h", 0.2, "ada", "h")])
    assert (found[1].fit, [one.id for one in found[1].events]) == ("exact", ["e"])


@pytest.mark.parametrize("known", [KNOWN, frozenset()])
@pytest.mark.parametrize(
    "wrong",
    [
        event("e", 0.2, "bob", "g"), event("e", 0.2, "ada", "h"), event("e", 0.2, "ada"), event("e", -6),
        event("e", 6), event("e", action="user_removed_from_group"),
    ],
)  # fmt: skip
def test_what_differs_in_anything_is_not_it(wrong: Seen, known: frozenset[str]) -> None:
    shown = wrong if known else replace(wrong, credentials=frozenset())
    assert decided([effect()], [shown], known) == {}


def test_another_persons_event_is_never_ours_where_the_key_shows() -> None:
    assert decided([effect()], [event(mine=False)]) == {}
    found = decided([effect()], [event("theirs", 0.2, mine=False), event("ours", 0.4)])
    assert [one.id for one in found[1].events] == ["ours"]


def test_where_the_key_does_not_show_two_that_fit_are_in_doubt() -> None:
    both = [event("a", 0.1, mine=False), event("b", 0.3, mine=False)]
    assert decided([effect()], both, frozenset())[1].fit == "doubtful"
    assert decided([effect()], both[:1], frozenset())[1].fit == "exact"


def test_where_the_key_does_not_show_others_get_the_time_to_come_to_light() -> None:
    one, shown = effect(), [event(mine=False)]
    early = one.last + SETTLED - timedelta(seconds=1)
    assert correlate([one], shown, now=early) == {}
    assert correlate([one], shown, now=early + timedelta(seconds=1))[1].fit == "exact"


def test_a_call_without_an_answer_may_have_had_its_effect_some_time_later() -> None:
    assert decided([effect(over=None)], [event("e", UNANSWERED.total_seconds())])[1].fit == "exact"


def test_two_calls_and_one_event_give_it_to_the_nearer() -> None:
    found = decided([effect(1, 0, 0.2), effect(2, 3, 3.2)], [event("e", 3.1)])
    assert set(found) == {2}


def test_an_event_that_names_nobody_is_in_doubt_at_best() -> None:
    nameless = Seen("e", "user_added_to_group", at(0.2), frozenset(), frozenset({MINE}))
    assert decided([effect()], [nameless])[1].fit == "doubtful"
    assert explains([effect()], nameless)


@pytest.mark.parametrize(
    ("seen", "ours"),
    [
        (event("e", 0.2), True),
        (event("e", 0.2, "ada", "x", action="role_granted"), True),  # one call may show as several events
        (event("e", 0.2, "ada", "h"), False),  # the same done elsewhere
        (event("e", 0.2, "bob", "g"), False),
        (event("e", 60, "ada", "g"), False),
        (event("e", 0.2, mine=False), False),
        (replace(event("e", 0.2), credentials=frozenset({"organization"})), False),  # another key of ours
    ],
)
def test_what_our_key_did_is_explained_by_a_call_with_it_about_the_same(seen: Seen, ours: bool) -> None:
    assert explains([effect()], seen) is ours


def test_a_call_for_many_has_an_event_for_each() -> None:
    many = written_members([("ada", "s-ada"), ("bob", "s-bob")])
    step = Step(does="add_members", owner=MINE, target="g", target_name="G", account="", member="", value=many,
                api="SCIM", method="PATCH", path="/", words="")  # fmt: skip
    effects = list(effects_of(7, step, at(0), at(1), ADDED, {"ada": "ada@example"}))
    assert kind_of(step) == "scim/add_member"
    found = decided(effects, [event("b", 0.2, "s-bob", "g"), event("a", 0.2, "ada@example", "g")])
    assert {one.id for one in found[7].events} == {"a", "b"}


# -- hostile streams --------------------------------------------------------------------------------------------------


@dataclass
class Stream:
    """Calls, the events there are in the end, and the truth."""

    effects: list[Effect]
    events: list[Seen]
    truth: dict[str, int]  # of our events: by id, the call
    shown_at: dict[str, datetime]


def stream(rng: random.Random, *, told: bool) -> Stream:
    """A busy quarter of an hour: few people, few groups, much of the same, by us and by others at the same time."""
    effects: list[Effect] = []
    events: list[Seen] = []
    truth: dict[str, int] = {}
    shown: dict[str, datetime] = {}
    moment = 0.0
    for call in range(1, rng.randint(5, 25)):
        moment += rng.uniform(11, 60)
        who, where = rng.choice(["ada", "bob", "cy"]), rng.choice(["g", "h"])
        over = None if rng.random() < 0.1 else moment + rng.uniform(0.05, 2)
        effects.append(effect(call, moment, over, who, where))
        if rng.random() < 0.9:
            id = f"ours-{call}"
            happened = rng.uniform(moment, over or moment + 2)
            events.append(event(id, happened, who, where, mine=told))
            truth[id] = call
            shown[id] = at(happened + rng.expovariate(1 / 60))
        for rival in range(rng.randint(0, 3)):
            id = f"theirs-{call}-{rival}"
            happened = moment + rng.uniform(-30, 30)
            about = (who, where) if rng.random() < 0.5 else (rng.choice(["ada", "dee"]), rng.choice(["g", "i"]))
            events.append(event(id, happened, *about, mine=False))
            shown[id] = at(happened + rng.uniform(0, 20))
    return Stream(effects, events, truth, shown)


@pytest.mark.torture
@pytest.mark.parametrize("number", range(part_of(300)))
def test_no_hostile_stream_gives_us_what_others_did(number: int) -> None:
    """Read in pieces as they come to light, doubled and in any order; what is found stays found."""
    rng = random.Random(SEED * 1000 + number)
    made = stream(rng, told=True)
    used: dict[str, int] = {}
    looking = list(made.effects)
    for minute in range(40):
        now = at(minute * 60)
        there = [one for one in made.events if made.shown_at[one.id] <= now and one.id not in used]
        there += rng.sample(there, len(there) // 3)
        rng.shuffle(there)
        begun = [one for one in looking if one.begun <= now]
        found = correlate(begun, there, now=now, known=KNOWN)
        for call, what in found.items():
            assert what.fit == "exact"
            for one in what.events:
                assert one.id not in used, "each event is used once"
                assert made.truth.get(one.id) == call, one
                used[one.id] = call
        looking = [one for one in looking if one.call not in found]
    late = {id for id in made.truth if made.shown_at[id] > at(39 * 60)}
    assert set(used) == set(made.truth) - late, "each of ours is found"


@pytest.mark.torture
@pytest.mark.parametrize("number", range(part_of(300)))
def test_where_the_key_does_not_show_doubt_is_said_and_nothing_false(number: int) -> None:
    """With all events there: exact only when nothing else fits, and never another's while ours is there."""
    rng = random.Random(SEED * 1000 + number)
    made = stream(rng, told=False)
    found = correlate(made.effects, made.events, now=LATER + timedelta(hours=1), known=frozenset())
    ours = {call: id for id, call in made.truth.items()}
    used = [one.id for what in found.values() if what.fit == "exact" for one in what.events]
    assert len(used) == len(set(used))
    for call, id in ours.items():
        assert call in found, "ours is there, so something is said of it"
        assert id in {one.id for one in found[call].events}
        if found[call].fit == "exact":
            assert [one.id for one in found[call].events] == [id]
