"""Who answers for a list: whoever may answer for each of its rows, and as many as the strictest row wants.

A list is one question. Its approvers are those of the verb bulk who may also answer for every row by the row's own
rule, and who are in no row themselves. What can't be asked so, because a rule asks in steps, is not for a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

from approvals.policy import ORG_ADMIN
from approvals.rules.parts import Rule, Source, Stage, sha256

if TYPE_CHECKING:
    from approvals.authority import Approvers, Candidate, Case

BULK = "bulk"
ADMINS = Stage((Source("role", "admin"),), 2, False)  # who answers for more than the ceilings allow, where any do


@dataclass(frozen=True, kw_only=True)
class ListRule(Rule):
    """The rule of the verb bulk with as many approvals as the strictest row wants, bound to the rules of all rows."""

    bound: tuple[str, ...] = ()  # hashes
    of_rows: tuple[Source, ...] = ()  # what is looked up for them

    @cached_property
    def looked_up(self) -> tuple[Source, ...]:
        """Whatever decides about the list or about one of its rows."""
        own = (*self.approver_sources, *self.who_may_ask, *self.ask_for_others, *self.of_rows)
        return tuple(dict.fromkeys(source for source in own if source.is_looked_up))

    @cached_property
    def rule_hash(self) -> str:
        """Changes when the rule of any row does."""
        return sha256(" ".join(self.bound))


def list_rule(bulk: Rule, rows: Iterable[Rule]) -> ListRule:
    """What decides about a list with these rows."""
    rules = list(rows)
    own = {field.name: getattr(bulk, field.name) for field in fields(Rule)}
    own |= {"stages": _at_least(bulk.stages, max((rule.approvals for rule in rules), default=0))}
    own |= {"pause": max([bulk.pause, *(rule.pause for rule in rules)])}
    looked_up = tuple(dict.fromkeys(source for rule in rules for source in rule.looked_up))
    return ListRule(**own, bound=(bulk.rule_hash, *sorted({rule.rule_hash for rule in rules})), of_rows=looked_up)


def why_not_in_a_list(verb: str, entitlement: str, rule: Rule) -> str:
    """Why this is only asked by itself; empty when a list may hold it."""
    if verb == "revoke" and entitlement.casefold() == ORG_ADMIN:
        return "an organization admin is taken that right by a request of its own: `/access revoke @who org-admin`"
    if len(rule.stages) > 1 or rule.stages[0].different_groups:
        return f"the rule for {rule.name} asks several people one after another, so ask for it by itself"
    return ""


def with_two_admins(case: Case) -> Case:
    """The same list with more destructive rows than one may have alone: two admins answer for it."""
    rule = replace(case.rule, stages=_at_least(case.rule.stages, ADMINS.approvals))
    admins = replace(case, rule=replace(case.rule, stages=(ADMINS,), escalation=()), rows=(), yes=())
    return replace(case, rule=rule, rows=(*case.rows, admins))


def narrowed(case: Case, own: Approvers) -> Approvers:
    """Of those who may answer for the list itself, those who may answer for every row and are in none.

    Nor does anybody answer on the seat of somebody in a row: of one request they would not be asked, either.
    """
    parts = [replace(row, level=case.level).approvers_of(0) for row in case.rows]
    by_part = [{candidate.account: candidate for candidate in part} for part in parts]
    everywhere = [candidate for candidate in own if all(candidate.account in part for part in by_part)]
    kept = [
        _on_one_seat(*each)
        for each in ([candidate, *(part[candidate.account] for part in by_part)] for candidate in everywhere)
        if not any(one.account in case.subjects or one.seat in case.subjects for one in each)
    ]
    if kept:
        return replace(own, candidates=tuple(kept))
    empty = [part for part in (own, *parts) if not part]
    missing = [why for part in empty for why in part.missing] or ["nobody may answer for every row of the list"]
    may_grow = bool(empty) and all(part.may_grow for part in empty)
    return replace(own, candidates=(), missing=tuple(dict.fromkeys(missing)), may_grow=may_grow)


def nobody_for_the_list(case: Case) -> str:
    """What to say when too few people may answer for every row."""
    return (
        f"Too few people may approve this list: {case.rule.approvals} must, each of them may answer for every row by "
        "the row's own rule, and neither who asks nor anybody in a row may. Make several lists, each of what the same "
        "people answer for; or whoever has the role admin can mend the policy."
    )


def _at_least(stages: tuple[Stage, ...], approvals: int) -> tuple[Stage, ...]:
    """As many approvals in all; what is missing is asked in the last step."""
    missing = max(0, approvals - sum(stage.approvals for stage in stages))
    return (*stages[:-1], replace(stages[-1], approvals=stages[-1].approvals + missing))


def _on_one_seat(candidate: Candidate, *elsewhere: Candidate) -> Candidate:
    """Who stands in for somebody in any row does so for the whole list: two of one seat count once."""
    seats = [one.seat for one in (candidate, *elsewhere) if one.seat != one.account]
    return replace(candidate, seat=seats[0]) if seats else candidate
