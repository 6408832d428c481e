"""What the people of a simulated run are up to: each story is somebody's day, begun at a moment that the seed draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.world import account
from tests.torture.weather import HOUR, TROUBLES

if TYPE_CHECKING:
    from tests.torture.simulation import Simulation

OF_GRACE = ("ada", "tomas", "nadia")  # whom she manages
JIRA, CONFLUENCE, DRILL = "eu-jira-admins", "eu-confluence-admins", "breakglass-drill"
LENGTHS = (timedelta(minutes=20), timedelta(hours=1), timedelta(hours=2), timedelta(hours=3))
CLOSED = ("done", "changed", "denied", "refused", "lapsed", "cancelled", "failed", "partly")


class Story:
    """Helpers for telling one; ``later`` begins something beside it."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.people = run.people
        self.chance = run.chance

    def wait(self, least: float, most: float) -> None:
        self.run.crew.pause(self.chance.uniform(least, most))

    def later(self, doing: Callable[[], object], least: float = 0.0, most: float = 1.0) -> None:
        self.run.crew.begin(lambda: (doing(), None)[1], after=self.chance.uniform(least, most))

    def length(self) -> timedelta:
        return self.chance.choice(LENGTHS)

    def asker(self) -> str:
        return self.chance.choice(OF_GRACE)

    def given(self, who: str, what: str = JIRA, length: timedelta | None = None) -> str:
        """Asked and approved, and waited for; the request, or empty when nothing came of it."""
        request = self.people.ask(who, what, length=length or self.length())
        if request:
            self.people.answer("grace", request)
            self.people.hears(request, *CLOSED)
        return request


def plain(s: Story) -> None:
    """Somebody asks, and it is approved, denied, or left lying."""
    who, what = s.asker(), s.chance.choice((JIRA, JIRA, CONFLUENCE))
    request = s.people.ask(who, what, length=s.length())
    match s.chance.choice(("approve",) * 7 + ("deny", "nothing")):
        case "approve":
            s.people.answer(s.chance.choice(("grace", "mei")) if what == CONFLUENCE else "grace", request)
        case "deny":
            s.people.answer("grace", request, "deny")


def race(s: Story) -> None:
    """Approve, deny and cancel at about the same moment."""
    who = s.asker()
    request = s.people.ask(who, CONFLUENCE, length=s.length())
    version = s.people.waits_for_question("grace", request)
    if version is None:
        return
    rivals: list[Callable[[], object]] = [
        lambda: s.people.answer("grace", request, s.chance.choice(("approve", "deny")), version=version),
        lambda: s.people.answer("mei", request, s.chance.choice(("approve", "deny")), version=version),
        lambda: s.people.cancel(who, request),
    ]
    for rival in s.chance.sample(rivals, s.chance.choice((2, 3))):
        s.later(rival, 0.0, s.chance.choice((0.05, 1.0, 5.0)))


def taken_back(s: Story) -> None:
    """Cancelled at some moment between asking and being given."""
    who = s.asker()
    request = s.people.ask(who, length=s.length())
    s.later(lambda: s.people.answer("grace", request), 0.0, 3.0)
    s.wait(0.0, s.chance.choice((1.0, 3.0, 20.0)))
    s.people.cancel(who, request)


def overlap(s: Story) -> None:
    """Twice the same, for different times; and it may have been held before, by somebody's hand."""
    who = s.asker()
    if s.chance.random() < 0.3:
        s.run.organization.set(f"member of {JIRA}", account(who), True)
    s.later(lambda: s.given(who), 0.0, 600.0)
    s.wait(0.0, s.chance.choice((5.0, 1.5 * HOUR)))
    s.given(who)


def longer(s: Story) -> None:
    """Extended before it is over, sometimes at the very end."""
    who = s.asker()
    length = s.length()
    request = s.given(who, length=length)
    if not request:
        return
    left = length.total_seconds()
    s.wait(0.3 * left, s.chance.choice((0.9, 1.0)) * left)
    more = s.people.extend(who, request, s.length())
    if more:
        s.people.answer("grace", more, patience=2 * HOUR)


def early(s: Story) -> None:
    """Given back early: while it is being given, a moment after, or at the moment of its end."""
    who, length = s.asker(), s.length()
    request = s.people.ask(who, length=length)
    if not s.people.answer("grace", request):
        return
    moments = (0.0, 2.0, 10.0, 60.0, length.total_seconds())
    s.wait(0.0, 0.5)
    s.run.crew.pause(s.chance.choice(moments) + s.chance.uniform(0.0, 3.0))
    for _ in range(5):
        if s.people.end(s.chance.choice((who, "sade")), request):
            return
        s.wait(0.5, 5.0)


def glass(s: Story) -> None:
    """Broken glass: used, perhaps twice, perhaps stopped, judged or left for others to judge."""
    who = s.chance.choice(("tomas", "nadia"))
    request = s.people.breaks_glass(who)
    if s.chance.random() < 0.3:
        s.later(lambda: s.people.breaks_glass(who), 0.0, 2.0)
    if not request:
        return
    if s.chance.random() < 0.4:
        soon = s.chance.choice((2.0, 900.0))
        s.later(lambda: s.people.end(s.chance.choice(("grace", "sade", who)), request), 0.0, soon)
    if s.chance.random() < 0.3:
        s.later(lambda: s.people.answer("grace", s.people.extend(who, request, timedelta(minutes=30))), 900.0, 3000.0)
    judged = s.chance.choice((5 * HOUR, 30 * HOUR))
    if judged > 24 * HOUR:
        s.later(lambda: s.people.breaks_glass(who), 25 * HOUR, 29 * HOUR)
    s.later(lambda: s.people.settle("sade", request, s.chance.choice(("legitimate", "misuse"))), judged, judged + HOUR)


def glass_again(s: Story) -> None:
    """The third time within a week a second person must agree."""
    for number in range(3):
        request = s.people.breaks_glass("tomas", incident=f"INC-{number}")
        if not request:
            break
        if number == 2 and s.chance.random() < 0.7:
            s.wait(5.0, 120.0)
            s.people.seconds_it(s.chance.choice(("nadia", "nadia", "tomas")), request)
        s.people.hears(request, *CLOSED, patience=2 * HOUR)
        s.people.end("tomas", request)
        s.wait(60.0, 300.0)


def destroy(s: Story) -> None:
    """Deactivated or suspended: two approvers, a name to type, a pause in which it may be stopped."""
    verb = s.chance.choice(("deactivate", "deactivate", "suspend", "tokens"))
    request = s.people.ask("grace", "", verb=verb, subject=s.chance.choice(OF_GRACE))
    typed = None if verb == "deactivate" else "the plan was shown"
    if s.chance.random() < 0.3:
        s.people.answer("omar", request, typed="Somebody Else")
    for who in s.chance.sample(("omar", "ingrid", "sade"), s.chance.choice((1, 2, 2, 2, 3))):
        for _ in range(s.chance.choice((1, 1, 2))):
            s.people.answer(who, request, typed=typed, patience=6 * HOUR)
            s.wait(0.0, 60.0)
    if s.chance.random() < 0.3:
        s.wait(0.0, 400.0)
        s.people.cancel(s.chance.choice(("grace", "omar")), request)
    goes_on_if_partly(s, request, "grace")


def goes_on_if_partly(s: Story, request: str, who: str) -> None:
    """What stops in the middle is gone on with, or left so."""
    for _ in range(20):
        if s.people.hears(request, *CLOSED) != "partly":
            return
        s.wait(60.0, HOUR)
        give_up = s.chance.random() < 0.3
        if not s.people.resume(who, request, give_up=give_up) or give_up:
            return
        s.wait(2 * HOUR, 3 * HOUR)


def revoke(s: Story) -> None:
    """Taken away from somebody who holds it because of a grant, or held it before; and given again for less."""
    who = s.asker()
    if s.chance.random() < 0.5:
        s.run.organization.set(f"member of {JIRA}", account(who), True)
    else:
        s.given(who)
    s.wait(0.0, 1200.0)
    request = s.people.ask("grace", JIRA, verb="revoke", subject=who)
    s.people.answer("omar", request, patience=6 * HOUR)
    if s.chance.random() < 0.5:
        s.people.hears(request, *CLOSED, patience=3 * HOUR)
        s.wait(0.0, 600.0)
        s.given(who, length=min(LENGTHS))


def offboard(s: Story) -> None:
    """Somebody leaves who holds something, has open questions, and is just being given more."""
    who = s.asker()
    s.given(who)
    request = s.people.ask("grace", "", verb="offboard", subject=who)
    for approver in s.chance.sample(("omar", "ingrid", "sade"), 2):
        s.people.answer(approver, request, patience=6 * HOUR)
    s.later(lambda: s.people.answer("grace", s.people.ask(who, CONFLUENCE, length=s.length())), 0.0, 400.0)
    goes_on_if_partly(s, request, "grace")


def edit(s: Story) -> None:
    """An approver gives less, also of what was asked until a moment; the new plan is answered, or the old card."""
    who, length = s.asker(), timedelta(hours=3)
    until = s.run.clock.now() + length if s.chance.random() < 0.5 else None
    request = s.people.ask(who, length=length, until=until)
    version = s.people.waits_for_question("grace", request)
    if version is None:
        return
    if until is not None:
        s.wait(0.0, 2.5 * HOUR)
    less = json.dumps({"duration": s.chance.choice((1800, 3600, 20000)), "entitlement": JIRA})
    s.people.answer("grace", request, "edit", version=version, changed=less)
    if s.chance.random() < 0.5:
        s.later(lambda: s.people.answer("grace", request, version=version), 0.0, 2.0)
    s.wait(5.0, 30.0)
    s.people.answer("grace", request)


def hostile(s: Story) -> None:
    """Own requests, other people's questions, old versions, the same click twice."""
    who = s.asker()
    request = s.people.ask(who, length=s.length(), source="the same")
    if s.people.waits_for_question(who, request) is None:
        return
    tries: list[Callable[[], object]] = [
        lambda: s.people.answer(who, request, version=1),
        lambda: s.people.answer("kofi", request, version=1),
        lambda: s.people.answer("vera", request, version=1),
        lambda: s.people.answer("grace", request, version=s.chance.choice((0, 2))),
        lambda: s.people.answer("grace", "REQ-23456789ab", version=1),
        lambda: s.people.ask(who, length=s.length(), source="the same"),
        lambda: s.people.cancel("kofi", request),
        lambda: s.people.end("kofi", request),
        lambda: s.people.ask("orla"),
        lambda: s.people.ask("ada", length=timedelta(hours=9)),
        lambda: s.people.ask("ada", "nothing-such"),
        lambda: s.people.breaks_glass("ada"),
        lambda: s.people.settle("kofi", request, "legitimate"),
    ]
    for one in s.chance.sample(tries, 6):
        s.later(one, 0.0, 60.0)
    s.wait(0.0, 60.0)
    for _ in range(2):
        s.people.answer("grace", request, version=1, source="a click")
    s.wait(0.0, 30.0)
    s.people.answer("grace", request, version=1)


def leaves(s: Story) -> None:
    """Who approved, or who asked, is gone before the deed."""
    if s.chance.random() < 0.5:
        return leaves_in_the_pause(s)
    who = s.asker()
    request = s.people.ask(who, length=s.length())
    gone = s.chance.choice(("grace", who))
    if s.people.waits_for_question("grace", request) is None:
        return
    s.later(lambda: s.run.slack.gone.add(gone), 0.0, s.chance.choice((0.5, 90.0)))
    s.wait(0.0, s.chance.choice((0.5, 90.0)))
    s.people.answer("grace", request, version=1)


def leaves_in_the_pause(s: Story) -> None:
    """Two approve that an account is closed, and one of them is gone before the five minutes are."""
    request = s.people.ask("grace", "", verb="deactivate", subject=s.asker())
    two = s.chance.sample(("omar", "ingrid", "sade"), 2)
    for who in two:
        s.people.answer(who, request, patience=6 * HOUR)
    s.wait(0.0, 120.0)
    s.run.slack.gone.add(s.chance.choice(two))


def freeze(s: Story) -> None:
    """Everything stands still for a while; ends go on."""
    who = s.asker()
    s.later(lambda: s.given(who), 0.0, 20.0)
    s.later(lambda: s.given("tomas"), 0.0, HOUR)
    s.wait(0.0, 30.0)
    s.people.freeze(s.chance.choice(("omar", "sade")))
    s.later(lambda: s.people.ask(who, CONFLUENCE), 0.0, 60.0)
    s.wait(60.0, 2 * HOUR)
    s.people.unfreeze("omar", *s.chance.sample(("omar", "sade", "ingrid"), 3))


def by_hand(s: Story) -> None:
    """Somebody changes Atlassian meanwhile: gives the same, takes it, deletes the group, moves it elsewhere."""
    who = s.asker()
    before = s.chance.random()
    if before < 0.15:
        s.run.organization.gone.add(JIRA)
    elif before < 0.35:
        request = s.people.ask(who)
        s.people.waits_for_question("grace", request)
        s.run.organization.moved.add(JIRA)
        s.people.answer("grace", request)
        return
    s.later(lambda: s.given(who))
    for _ in range(2):
        s.wait(0.0, s.chance.choice((10.0, 2 * HOUR)))
        s.run.organization.set(f"member of {JIRA}", account(who), s.chance.random() < 0.5)
    if s.chance.random() < 0.3:
        s.run.organization.gone.add(JIRA)


def crowd(s: Story) -> None:
    """Several hold the same until the same hour; one of them may give it back before, keep it longer, or leave."""
    length = s.length()
    until, left = s.run.clock.now() + length, length.total_seconds()
    some = s.chance.sample(OF_GRACE, s.chance.choice((2, 3, 3)))
    asked = [s.people.ask(who, length=length, until=until) for who in some]
    for request in asked:
        s.people.answer("grace", request, patience=left)
    one, who = asked[0], some[0]
    match s.chance.choice(("nothing",) * 3 + ("early", "longer", "by hand", "offboard")):
        case "early":
            s.wait(0.5 * left, left + 60.0)
            s.people.end(who, one)
        case "longer":
            s.wait(0.5 * left, left)
            s.people.answer("grace", s.people.extend(who, one, s.length()), patience=2 * HOUR)
        case "by hand":
            s.wait(0.5 * left, left + 60.0)
            s.run.organization.set(f"member of {JIRA}", account(who), False)
        case "offboard":
            s.wait(0.8 * left, left)
            request = s.people.ask("grace", "", verb="offboard", subject=who)
            for approver in s.chance.sample(("omar", "ingrid", "sade"), 2):
                s.people.answer(approver, request, patience=6 * HOUR)
            goes_on_if_partly(s, request, "grace")


STORIES: dict[str, Callable[[Story], None]] = {
    story.__name__: story
    for story in (plain, race, taken_back, overlap, longer, early, glass, glass_again, destroy, revoke, offboard, edit,
                  hostile, leaves, freeze, by_hand, crowd)
}  # fmt: skip


def story_of(seed: int) -> Callable[[Story], None]:
    """Each in turn, in every trouble."""
    return list(STORIES.values())[seed // len(TROUBLES) % len(STORIES)]
