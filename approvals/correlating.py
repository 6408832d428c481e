"""Which of Atlassian's audit events shows which of our calls: exactly one, several that fit equally, or none."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from approvals.plan import Step, read_members

SKEW = timedelta(seconds=5)  # between our clock and Atlassian's
UNANSWERED = timedelta(seconds=60)  # how long after its beginning a call without an answer may have had its effect
SETTLED = timedelta(seconds=60)  # where events do not tell who did it, how long others may still come to light
MANY = {"add_members": "add_member", "remove_members": "remove_member"}
Fit = Literal["exact", "doubtful"]


@dataclass(frozen=True)
class Effect:
    """What one call changed for one account. ``who`` and ``where`` are the names the log may use for it."""

    call: int
    actions: frozenset[str]  # how such a change may show
    credential: str
    who: frozenset[str]
    where: frozenset[str]  # the group or the product; empty where the account itself was changed
    begun: datetime
    over: datetime | None  # None: nobody knows

    @property
    def last(self) -> datetime:
        return (self.over or self.begun + UNANSWERED) + SKEW

    def spans(self, at: datetime) -> bool:
        return self.begun - SKEW <= at <= self.last

    def distance(self, at: datetime) -> timedelta:
        """From the time of the call itself, without what the clocks may differ."""
        over = self.over or self.begun
        return max(self.begun - at, at - over, timedelta(0))


@dataclass(frozen=True)
class Seen:
    """An event of the audit log. ``credentials``: which of ours did it, where the log shows that."""

    id: str
    action: str
    at: datetime
    about: frozenset[str]
    credentials: frozenset[str] = frozenset()


@dataclass
class Found:
    """What became of a call: its events, and how sure that is."""

    fit: Fit
    events: list[Seen] = field(default_factory=list)


def kind_of(step: Step) -> str:
    """Who owns what is changed, and what is done to it; many at once show as each of them."""
    return f"{step.owner.partition(':')[0]}/{MANY.get(step.does, step.does)}"


def credential_of(step: Step) -> str:
    """Whose key makes the call: a directory's own, the site's, or the organization's."""
    return step.owner if step.owner.startswith("scim:") or step.owner == "site" else "organization"


def people_of(step: Step) -> dict[str, str]:
    """Whom a call is about: by account, the id by which the API knows them."""
    return read_members(step) if step.does in MANY else {step.account: step.member}


def effects_of(
    call: int, step: Step, begun: datetime, over: datetime | None, actions: Iterable[str], mails: Mapping[str, str]
) -> Iterator[Effect]:
    """One for each account that a call is about. ``mails``: by account, the address the log may show in its place."""
    where = frozenset(plain(name) for name in (step.target, step.target_name) if name)
    for account, member in people_of(step).items():
        names = {account, member, mails.get(account, ""), step.value if step.does == "set_email" else ""}
        names |= _newcomer(step)
        who = frozenset(plain(name) for name in names if name)
        yield Effect(call, frozenset(actions), credential_of(step), who, where, begun, over)


def _newcomer(step: Step) -> set[str]:
    """A newcomer has no id before there is an account: the log shows the address."""
    if step.does not in ("create_user", "invite", "create_site_user"):
        return set()
    try:
        return {str(json.loads(step.value).get("mail", ""))}
    except (ValueError, AttributeError):
        return set()


def plain(name: str) -> str:
    """Ids, addresses and names of groups, as they are compared."""
    return name.strip().casefold()


def correlate(
    effects: Sequence[Effect], events: Iterable[Seen], *, now: datetime, known: frozenset[str] = frozenset()
) -> dict[int, Found]:
    """By call, what the log shows of it; a call that is not here has no event yet. Each event is used once.

    ``known`` are the credentials whose events can be told from everybody else's. Where that is so, other people's
    events of the same kind about the same account are left out, and the nearest in time is the one. Where it is not,
    only a single event that fits is taken, and only once others had time to come to light.
    """
    free = {event.id: event for event in events}  # an event that comes twice is one event
    found: dict[int, Found] = {}
    for deed in _deeds(effects):
        told = deed[0].credential in known
        candidates = sorted((event for event in free.values() if _fits(event, deed, told)), key=_in_time)
        pairs = _nearest(deed, candidates) if told else _single(deed, candidates, now)
        for effect, event in pairs:
            del free[event.id]
            found.setdefault(effect.call, Found("exact")).events.append(event)
        left = [event for event in candidates if event.id in free]
        unclear = left if not told else []
        unclear += [event for event in free.values() if not event.about and _is_of(event, deed[0], told)]
        for effect in deed:
            if effect.call not in found and now - effect.last >= SETTLED:
                fitting = [event for event in unclear if effect.spans(event.at)]
                if fitting:
                    found[effect.call] = Found("doubtful", fitting)
    return found


def explains(effects: Iterable[Effect], event: Seen) -> bool:
    """Whether one of our calls is behind an event, be it not the one it is known by: one call may show as several.

    They are about the same account, and done with the same key. What shows as such a call does must be about the same
    group or product too: with our key somebody may do elsewhere, in the same seconds, what we do here.
    """
    return any(
        effect.spans(event.at) and effect.credential in event.credentials and _is_about(effect, event)
        for effect in effects
    )


def _is_about(effect: Effect, event: Seen) -> bool:
    if not event.about:
        return True
    elsewhere = event.action in effect.actions and bool(effect.where) and not effect.where & event.about
    return bool(effect.who & event.about) and not elsewhere


def _deeds(effects: Sequence[Effect]) -> list[list[Effect]]:
    """Calls that do the same to the same account in the same place compete for the same events."""
    deeds: dict[object, list[Effect]] = {}
    for effect in sorted(effects, key=lambda one: (one.begun, one.call)):
        deeds.setdefault((effect.actions, effect.who, effect.where, effect.credential), []).append(effect)
    return list(deeds.values())


def _fits(event: Seen, deed: list[Effect], told: bool) -> bool:
    one = deed[0]
    there = bool(event.about & one.who) and (not one.where or bool(event.about & one.where))
    return there and _is_of(event, one, told) and any(effect.spans(event.at) for effect in deed)


def _is_of(event: Seen, effect: Effect, told: bool) -> bool:
    """Of the right kind, and not done with another key of ours, or where that shows with anybody else's."""
    mine = effect.credential in event.credentials if told else not event.credentials
    return event.action in effect.actions and mine


def _nearest(deed: list[Effect], events: list[Seen]) -> Iterator[tuple[Effect, Seen]]:
    """All of them are ours: each goes to the call nearest in time that has none yet."""
    left = list(deed)
    for event in events:
        near = [effect for effect in left if effect.spans(event.at)]
        if near:
            best = min(near, key=lambda effect: (effect.distance(event.at), effect.begun))
            left.remove(best)
            yield best, event


def _single(deed: list[Effect], events: list[Seen], now: datetime) -> Iterator[tuple[Effect, Seen]]:
    """Anybody may have done it: one call and one event that fit only each other."""
    for effect in deed:
        fitting = [event for event in events if effect.spans(event.at)]
        rivals = [other for other in deed if other is not effect and fitting and other.spans(fitting[0].at)]
        if len(fitting) == 1 and not rivals and now - effect.last >= SETTLED:
            yield effect, fitting[0]


def _in_time(event: Seen) -> tuple[datetime, str]:
    return event.at, event.id
