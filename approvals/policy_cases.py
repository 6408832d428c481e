"""Cases that people write beside their policy: who asks for what, what must come of it, and who answers."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from approvals import authority
from approvals.authority import Case, Facts, Yes
from approvals.durations import parse_duration
from approvals.policy import Person, Policy, Rule, Source
from approvals.rules.lines import Lines


class Known(BaseModel):
    """Somebody of the cases: their account, their Slack user, and their manager by name."""

    model_config = ConfigDict(extra="forbid")

    account: str
    slack: str = "T0/U0"
    manager: str = ""


class Written(BaseModel):
    """One case. What it does not say is not looked at."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    who: str
    wants: str = ""
    verb: str = "grant"
    subject: str = Field(default="", alias="for")
    length: str = "1h"
    reason: str = "a reason that is long enough"
    expect: Literal["allowed", "refused"]
    because: str = ""
    answered_by: list[str] | None = None
    approved_by: list[str] | None = None


class CasesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    people: dict[str, Known]
    sources: dict[str, list[str]] = {}
    case: list[Written]


@dataclass(frozen=True)
class Result:
    """What came of a case: nothing wrong, or what was expected and what is so."""

    line: int
    said: str
    wrong: str = ""


class CasesProblem(Exception):
    """The cases can't be read; the text says file, line and what is wrong."""


def read_cases(text: str, file: str) -> tuple[CasesFile, Lines]:
    """The cases of a TOML text. ``CasesProblem`` says where and why not."""
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise CasesProblem(f"{file}: this is not TOML ({str(error)[:100]}).") from None
    lines = Lines(text)
    try:
        found = CasesFile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CasesProblem(f"{file}, line {lines.of(first['loc'])}: {where} is wrong: {first['msg']}.") from None
    named = {name for case in found.case for name in (case.who, case.subject, *(case.answered_by or ()))} - {""}
    named |= {known.manager for known in found.people.values()} - {""}
    strangers = sorted(named - found.people.keys())
    if strangers:
        raise CasesProblem(f"{file}: nobody is known as {', '.join(strangers)}; add a table [people.{strangers[0]}].")
    return found, lines


def run_cases(policy: Policy, cases: CasesFile, lines: Lines) -> Iterator[Result]:
    for number, case in enumerate(cases.case):
        line = lines.of(("case", number))
        whom = f" for {case.subject}" if case.subject else ""
        said = f"{case.who} {case.verb} {case.wants}{whom}".replace("  ", " ")
        yield Result(line, said, _wrong(policy, cases, case))


def _wrong(policy: Policy, cases: CasesFile, written: Written) -> str:
    rule = policy.rule(written.verb, written.wants)
    if rule is None:
        return "" if written.expect == "refused" else f"the policy has nothing for {written.verb} {written.wants}"
    asker = _person(policy, cases.people[written.who])
    subject = cases.people[written.subject or written.who]
    case = Case(policy, rule, written.verb, asker.account, subject.account, _facts(cases, rule, subject))
    verdict = authority.may_ask(case, asker, _length(written.length), written.reason)
    level = authority.starting_level(case)
    allowed = bool(verdict) and level is not None
    because = verdict.because if not verdict else authority.nobody_is_left(case) if level is None else verdict.because
    if allowed != (written.expect == "allowed"):
        return f"expected {written.expect}, and it is {'allowed' if allowed else 'refused'}: {because}"
    if written.because and written.because not in because:
        return f"expected because “{written.because}”, and it says “{because}”"
    if not allowed:
        return ""
    return _answers(case, cases, written, level or 0)


def _answers(case: Case, cases: CasesFile, written: Written, level: int) -> str:
    names = {known.account: name for name, known in cases.people.items()}
    at = Case(**{**vars_of(case), "level": level})
    asked = sorted(names.get(account, account) for account in at.approvers.accounts)
    if written.answered_by is not None and asked != sorted(written.answered_by):
        return f"expected answers from {sorted(written.answered_by)}, and asked are {asked}"
    if written.approved_by is not None:
        yes = tuple(Yes(cases.people[name].account, cases.people[name].account) for name in written.approved_by)
        if not Case(**{**vars_of(at), "yes": yes}).tally.complete:
            return f"the yes of {', '.join(written.approved_by) or 'nobody'} is not enough"
    return ""


def vars_of(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in Case.__dataclass_fields__}


def _person(policy: Policy, known: Known) -> Person:
    team, _, user = known.slack.partition("/")
    return policy.person(known.account, team, user)


def _facts(cases: CasesFile, rule: Rule, subject: Known) -> Facts:
    members: Mapping[Source, frozenset[str]] = {
        source: frozenset(cases.people[name].account for name in cases.sources.get(source.key, ()))
        for source in rule.looked_up
    }
    manager = cases.people[subject.manager].account if subject.manager else None
    return Facts(manager, members)


def _length(text: str) -> timedelta | None:
    return parse_duration(text)
