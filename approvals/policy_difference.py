"""What differs between two policies, in sentences, and how many admins must agree to it."""

from collections.abc import Iterator, Mapping

from approvals.durations import say_duration
from approvals.policy import Entitlement, Policy, PolicyPerson, Rule


class Difference:
    """The sentences; ``weighty`` are those about who decides, or what holds people back: two admins must agree."""

    def __init__(self, old: Policy, new: Policy) -> None:
        self.sentences: list[str] = []
        self.weighty: list[str] = []
        for sentence, heavy in _differences(old, new):
            self.sentences.append(sentence)
            if heavy:
                self.weighty.append(sentence)

    @property
    def needs(self) -> int:
        return 2 if self.weighty else 1


def _differences(old: Policy, new: Policy) -> Iterator[tuple[str, bool]]:
    for role in old.roles:
        gone, came = set(old.roles[role]) - set(new.roles[role]), set(new.roles[role]) - set(old.roles[role])
        yield from ((f"{_who(person)} gets the role {role}", True) for person in sorted(came, key=_who))
        yield from ((f"{_who(person)} loses the role {role}", True) for person in sorted(gone, key=_who))
    before, now = {p.account: p.why for p in old.protected}, {p.account: p.why for p in new.protected}
    yield from ((f"{account} is protected ({now[account]})", True) for account in sorted(now.keys() - before.keys()))
    yield from ((f"{account} is protected no more", True) for account in sorted(before.keys() - now.keys()))
    watched = {p.account: p.emergency for p in old.protected}
    for listed in new.protected:
        if listed.emergency != watched.get(listed.account, False):
            said = "is an emergency administrator, and watched" if listed.emergency else "is not watched any more"
            yield f"{listed.account} {said}", True
    for what, heavy in (
        ("ceilings", True), ("break_glass", True), ("reconciliation", True), ("asking", False),
        ("manager_sources", True), ("manager_field", True), ("manager_map", True), ("on_call", True), 
        ("channels", old.channels.security != new.channels.security), ("reason", False), ("directories", True),
        ("sizes", False), ("unmanaged", False), ("organization", False), ("sso", True),
    ):  # fmt: skip
        was, is_now = getattr(old, what), getattr(new, what)
        if was != is_now:
            yield f"{what.replace('_', ' ')}: {_shown(was)} becomes {_shown(is_now)}", heavy
    yield from _rules(old.verbs, new.verbs)
    yield from _rules({e.name: e for e in old.entitlements}, {e.name: e for e in new.entitlements})


def _rules(before: Mapping[str, Rule], now: Mapping[str, Rule]) -> Iterator[tuple[str, bool]]:
    yield from ((f"{name} is new: {_answered(now[name])}", True) for name in sorted(now.keys() - before.keys()))
    yield from ((f"{name} is gone", False) for name in sorted(before.keys() - now.keys()))
    for name in sorted(before.keys() & now.keys()):
        yield from _changed(name, before[name], now[name])


def _changed(name: str, old: Rule, new: Rule) -> Iterator[tuple[str, bool]]:
    if (old.stages, old.escalation, old.owner) != (new.stages, new.escalation, new.owner):
        yield f"{name}: {_answered(old)} becomes {_answered(new)}", True
    for what in ("tier", "pause"):
        if getattr(old, what) != getattr(new, what):
            yield f"{name}: {what} {_shown(getattr(old, what))} becomes {_shown(getattr(new, what))}", True
    for what in ("who_may_ask", "ask_for_others"):
        if getattr(old, what) != getattr(new, what):
            was, now = (", ".join(s.said for s in getattr(rule, what)) or "nobody" for rule in (old, new))
            yield f"{name}: {what.replace('_', ' ')} {was} becomes {now}", False
    if old.longest != new.longest:
        yield f"{name}: longest {say_duration(old.longest)} becomes {say_duration(new.longest)}", False
    if old.escalate_after != new.escalate_after:  # sooner, and others answer who were only asked in need
        said = f"escalate_after {_shown(old.escalate_after)} becomes {_shown(new.escalate_after)}"
        yield f"{name}: {said}", new.escalate_after < old.escalate_after
    for what in ("lifetime", "remind_after", "ticket", "channel", "listed"):
        if getattr(old, what) != getattr(new, what):
            yield f"{name}: {what} {_shown(getattr(old, what))} becomes {_shown(getattr(new, what))}", False
    if isinstance(old, Entitlement) and isinstance(new, Entitlement):
        for what in ("group", "kind", "role", "resource", "removal_only", "instead", "about", "break_glass"):
            if getattr(old, what) != getattr(new, what):
                heavy = what != "about"
                yield f"{name}: {what} {_shown(getattr(old, what))} becomes {_shown(getattr(new, what))}", heavy


def _answered(rule: Rule) -> str:
    stages = [
        f"{stage.approvals} of {', '.join(_source(source) for source in stage.sources)}"
        + (" from different groups" if stage.different_groups else "")
        for stage in rule.stages
    ]
    levels = [f"then {', '.join(_source(source) for source in level)}" for level in rule.escalation]
    return "answered by " + "; ".join([*stages, *levels])


def _source(source: object) -> str:
    person = getattr(source, "person", None)
    return _who(person) if person else str(getattr(source, "key", source)).rstrip(":")


def _who(person: PolicyPerson) -> str:
    return f"{person.team}/{person.user} ({person.account})"


def _shown(value: object) -> str:
    text = str(value) if value not in ("", None, ()) else "nothing"
    return text if len(text) <= 200 else text[:199] + "…"
