"""The plan of a list: every row read in Atlassian or refused with why, many of one group in one call."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete
from sqlmodel import col, select

from approvals import audit, authority, jobs, people, safety
from approvals.bulk_cases import with_two_admins
from approvals.bulk_rows import (
    ALL_OR_NOTHING,
    Row,
    digest_of_lines,
    digest_of_rows,
    judge,
    lines_of,
    mails_of,
    rows_of,
    write_judgement,
)
from approvals.cases import case_of, first_level, who_may_answer
from approvals.crash import crash_point
from approvals.durations import counted
from approvals.models import AccessRequest, PlanRow, StepRow
from approvals.plan import GroupSurvey, Plan, Step, Survey, written_members
from approvals.policy import Entitlement, Policy
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.store import MACHINE, Store, Write
from approvals.telling import alarm, tell_outcome

if TYPE_CHECKING:
    from approvals.planning import Atlassian

KEPT_AFTER = 25  # rows that were read one by one are kept after so many, for a plan that has to begin again
HELD = "holds it already"
SHOWN = 12  # lines of a card about single things


@dataclass
class Draft:
    """A plan in the making."""

    rows: list[Row]
    steps: list[Step] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    two_admins: bool = False

    @property
    def valid(self) -> list[Row]:
        return [row for row in self.rows if row.valid]


class Refusal(Exception):
    """The whole list is refused; the text says why. ``rows`` is what is known of each row by then."""

    def __init__(self, because: str, rows: Sequence[Row] = ()) -> None:
        super().__init__(because)
        self.rows = rows


class BulkPlanning:
    """The job ``plan`` of a list. ``survey`` reads one row as the request it would be by itself."""

    def __init__(
        self, store: Store, directory: "Atlassian", policies: PolicyBook,
        survey: Callable[["Atlassian", AccessRequest, Policy], Plan],
    ) -> None:  # fmt: skip
        self.store = store
        self.directory = directory
        self.policies = policies
        self.survey = survey

    def plan(self, claim: jobs.Claim, request: AccessRequest, policy: Policy) -> None:
        """Raises ``DirectoryError`` when Atlassian can't be read; what was read by then is kept."""
        try:
            draft = Draft(self._judged(request, policy))
            self._read_groups(draft, policy)
            self._read_singly(claim, request, draft, policy)
            self._hold_below_ceilings(request, draft, policy)
            _refuse_a_whole(request, draft)
        except Refusal as no:
            return self._refuse(claim, request, str(no), no.rows)
        crash_point("bulk: read")
        self._open(claim, request, draft)

    # -- the rows -------------------------------------------------------------------------------------------------

    def _judged(self, request: AccessRequest, policy: Policy) -> list[Row]:
        """Judged anew by the policy in force; what stands in the database must be what was asked."""
        with self.store.read() as session:
            lines = lines_of(rows_of(session, request.id))
            asked = audit.find(session, event="request.asked", request=request.id)
            speaker = people.speaker(session, policy, request.team, request.user)
            now = self.store.time_in(session)
            changed = not asked or asked[0]["data"].get("rows") != digest_of_lines(lines)
            if isinstance(speaker, people.Stop):
                raise Refusal(speaker.because)
            rows = [] if changed else judge(session, policy, speaker, lines, now, request.reason)
        if changed:
            with self.store.write() as w:
                alarm(w, request, "the rows in the database are not those that were asked for")
            raise Refusal("The rows of the list are not those in the record, so nothing was planned.")
        return rows

    # -- Atlassian ------------------------------------------------------------------------------------------------

    def _read_groups(self, draft: Draft, policy: Policy) -> None:
        """Whoever is to get the same group of a directory of ours is put into it together."""
        wanted: dict[str, list[Row]] = defaultdict(list)
        for row in draft.valid:
            rule = row.rule
            if row.line.verb == "grant" and isinstance(rule, Entitlement) and rule.kind == "group":
                wanted[rule.name].append(row)
        with self.store.read() as session:
            mails = mails_of(session, (row.account for rows in wanted.values() for row in rows))
        for name, rows in wanted.items():
            entitlement = policy.entitlement(name)
            assert entitlement is not None  # the row was judged by it
            pairs = [(row.account, mails.get(row.account, "")) for row in rows]
            try:
                found = self.directory.survey_group(entitlement, pairs)
            except Impossible as no:
                for row in rows:
                    row.refuse(str(no))
                continue
            if found is not None:
                self._batches(draft, rows, found)

    def _batches(self, draft: Draft, rows: list[Row], found: GroupSurvey) -> None:
        to_add: list[tuple[Row, str]] = []
        held: list[tuple[Row, str]] = []
        for row in rows:
            record = found.records.get(row.account)
            if record is None:
                row.refuse(found.refused.get(row.account, "it has no record in the directory that owns the group"))
            elif record in found.members:
                held.append((row, record))
                row.held, row.because = True, HELD
            else:
                to_add.append((row, record))
        name = found.step.target_name
        _portions(draft, found, to_add, f"to the group {name} by SCIM, with one call")
        # Who is in it now may be out of it when the list is done: then they are put into it as well.
        _portions(
            draft, found, held, f"to the group {name} by SCIM, with one call, if any of them is out of it by then"
        )
        if to_add:
            before, after = len(found.members), len(found.members) + len(to_add)
            draft.lines.append(f"{found.step.target_name}: {counted(before, 'member')} now, {after:,} then")
        draft.warnings += found.warnings

    def _read_singly(self, claim: jobs.Claim, request: AccessRequest, draft: Draft, policy: Policy) -> None:
        """Every other row as the request it would be by itself. What was read is kept: Atlassian may say "later"."""
        known = self._kept(request)
        fresh: dict[int, str] = {}
        holdings: dict[tuple[str, str], int] = {}
        try:
            for row in draft.valid:
                if row.step is not None or row.held:
                    continue
                text = known.get(row.line.number)
                try:
                    text = text or self._read_one(request, row, policy)
                except Impossible as no:
                    row.refuse(str(no))
                    continue
                except DirectoryError as error:
                    if error.retry:
                        raise
                    row.refuse(str(error))
                    continue
                fresh[row.line.number] = text
                _take(draft, row, Survey.model_validate_json(text), holdings)
                if len(fresh) % KEPT_AFTER == 0:
                    self._keep(claim, request, fresh, known)
        except DirectoryError:
            self._keep(claim, request, fresh, known)
            raise

    def _read_one(self, request: AccessRequest, row: Row, policy: Policy) -> str:
        plan = self.survey(self.directory, alone(request, row.line.verb, row.account, row.entitlement), policy)
        fields = Survey.model_fields
        return Survey(**{name: getattr(plan, name) for name in fields}).model_dump_json()

    def _kept(self, request: AccessRequest) -> dict[int, str]:
        with self.store.read() as session:
            rows = session.exec(select(StepRow.position, StepRow.body).where(*_of_the_plan(request))).all()
        return dict(rows)

    def _keep(self, claim: jobs.Claim, request: AccessRequest, fresh: dict[int, str], known: dict[int, str]) -> None:
        with self.store.work(claim) as w:
            for number, text in fresh.items():
                if number not in known:
                    w.session.add(StepRow(request_id=request.id, purpose="plan", position=number, body=text))
            known |= fresh

    # -- what is too much -----------------------------------------------------------------------------------------

    def _hold_below_ceilings(self, request: AccessRequest, draft: Draft, policy: Policy) -> None:
        """More destructive rows than the ceilings leave room for are refused, or wait for two admins."""
        destructive = [row for row in draft.valid if row.line.verb in safety.DESTROYS and not row.held]
        with self.store.read() as session:
            left = safety.room(session, policy, request.requester, self.store.time_in(session))
        subjects = dict.fromkeys(row.account for row in destructive)
        if len(subjects) <= left:
            return
        if policy.ceilings.two_admins_above:
            draft.two_admins = True
            draft.warnings.append(
                f"{len(subjects)} accounts lose access, and the ceilings leave room for {left} now: two admins answer."
            )
            return
        allowed = set(list(subjects)[:left])
        for row in destructive:
            if row.account not in allowed:
                row.refuse(f"above the ceilings: {left} accounts may lose access by this person now")

    # -- the question ---------------------------------------------------------------------------------------------

    def _open(self, claim: jobs.Claim, request: AccessRequest, draft: Draft) -> None:
        """The rows as they were judged, the plan, and the question; refused when nobody may answer for all of it."""
        renumber(draft)
        with self.store.work(claim, last=True) as w:
            policy = self.policies.current(w.session)
            write_judgement(w.connection, request.id, draft.rows)
            w.connection.execute(delete(StepRow).where(*_of_the_plan(request)))
            plan = _plan_of(w, request, draft)
            case = case_of(w.session, policy, request, w.now, level=0)
            case = with_two_admins(case) if case is not None and plan.two_admins else case
            level = first_level(w.session, case) if case else None
            if case is None or level is None:
                why = authority.nobody_is_left(case) if case else "The rule is no longer in the policy."
                return _refused(w, request, why)
            body = plan.model_dump_json()
            w.add(PlanRow(request_id=request.id, version=request.version, hash=plan.hash, body=body, made_at=w.now))
            asked = who_may_answer(w.session, replace(case, level=level))
            data = {"plan_hash": plan.hash, "level": level, "rows": plan.rows, "accounts": plan.accounts}
            data["approvers"] = [candidate.account for candidate in asked]
            w.move(request, "plan", actor=MACHINE, data=data, details={"plan": body}, plan_hash=plan.hash, level=level)
            pauses = [case.rule.remind_after, *([case.rule.escalate_after] if case.rule.escalation else [])]
            w.enqueue("wait", request.id, at=min(request.lapses_at, w.now + min(pauses)))
        crash_point("bulk: planned")

    def _refuse(self, claim: jobs.Claim, request: AccessRequest, because: str, rows: Sequence[Row]) -> None:
        with self.store.work(claim, last=True) as w:
            write_judgement(w.connection, request.id, rows)
            w.connection.execute(delete(StepRow).where(*_of_the_plan(request)))
            _refused(w, request, because)


def alone(request: AccessRequest, verb: str, account: str, entitlement: str) -> AccessRequest:
    """A row as the request it would be by itself; it is never written down."""
    own = {"verb": verb, "subject": account, "entitlement": entitlement, "value": "", "duration": None}
    return AccessRequest(**(request.model_dump() | own))


def renumber(draft: Draft) -> None:
    """Whole rows in their order first, then the calls for many: a row's steps follow each other."""
    singles = [step for step in draft.steps if step.does != "add_members"]
    many = [step for step in draft.steps if step.does == "add_members"]
    place = {id(step): at for at, step in enumerate([*singles, *many])}
    for row in draft.rows:
        if row.step is not None:
            row.step = place[id(draft.steps[row.step])]
    draft.steps = [*singles, *many]


def _portions(draft: Draft, found: GroupSurvey, pairs: Sequence[tuple[Row, str]], where: str) -> None:
    """The calls for these people, as many in each as one may name."""
    for at in range(0, len(pairs), found.per_call):
        part = pairs[at : at + found.per_call]
        for row, _ in part:
            row.step = len(draft.steps)
        value = written_members((row.account, record) for row, record in part)
        words = f"add {len(part)} people {where}"
        draft.steps.append(found.step.model_copy(update={"value": value, "words": words}))


def _take(draft: Draft, row: Row, survey: Survey, holdings: dict[tuple[str, str], int]) -> None:
    """What Atlassian shows of one row, into the plan."""
    leaves = row.line.verb == "offboard"  # of somebody whose account is out, what they hold and asked for is not
    if not survey.steps or (survey.holds and not leaves):
        row.held, row.because = True, HELD if row.line.verb == "grant" else "it is so already"
    if row.line.verb == "grant" and survey.steps:
        first = holdings.setdefault((row.account, survey.steps[0].holding), row.line.number)
        if first != row.line.number:
            return row.refuse(f"row {first} gives the very same")
    for warning in survey.warnings:
        draft.warnings.append(f"Row {row.line.number}: {warning}")
    # A gift that is held already still has its step, for what holds it is a grant's business.
    if survey.steps and (not row.held or row.line.verb == "grant"):
        row.step = len(draft.steps)
        draft.steps += survey.steps


def _plan_of(w: Write, request: AccessRequest, draft: Draft) -> Plan:
    accounts = len({row.account for row in draft.valid})
    verbs = Counter(row.line.verb for row in draft.valid if not row.held)
    said = [f"{count} × {verb}" for verb, count in verbs.most_common()]
    held = sum(row.held for row in draft.valid)
    calls = len(draft.steps) - len({row.step for row in draft.valid if row.held and row.step is not None})
    lines = [
        f"{len(draft.valid)} of {counted(len(draft.rows), 'row')} can be done, for {counted(accounts, 'account')}: "
        + (", ".join(said) or "–"),
        *([f"{counted(held, 'row is', 'rows are')} so already, so nothing is called for that"] if held else []),
        *(f"{count} refused: {why}" for why, count in _reasons(draft.rows)),
        f"{counted(calls, 'call')} to Atlassian, and what it takes to read them back",
        *draft.lines[:SHOWN],
    ]
    more = len(draft.warnings) - SHOWN
    warnings = [*draft.warnings[:SHOWN], *([f"… and {more} more warnings, of single rows"] if more > 0 else [])]
    return Plan(
        verb=request.verb, subject=request.subject, entitlement="", duration=None, steps=tuple(draft.steps),
        holds=False, subject_name=counted(accounts, "account"), subject_mail="", warnings=tuple(warnings),
        rows=digest_of_rows(rows_of(w.connection, request.id)), accounts=accounts, two_admins=draft.two_admins,
        lines=tuple(lines),
    )  # fmt: skip


def _reasons(rows: Iterable[Row]) -> list[tuple[str, int]]:
    found = Counter(row.because for row in rows if not row.valid)
    left = sum(count for _, count in found.most_common()[SHOWN:])
    return [*found.most_common(SHOWN), *([("for other reasons", left)] if left else [])]


def _refuse_a_whole(request: AccessRequest, draft: Draft) -> None:
    """Nothing of it can be done, or all of it was wanted."""
    refused = [row for row in draft.rows if not row.valid]
    if not refused:
        return
    first = refused[0]
    why = f"row {first.line.number}: {first.because}"
    if len(refused) == len(draft.rows):
        raise Refusal(f"None of the {len(refused)} rows can be done; {why}.", draft.rows)
    if request.value.endswith(ALL_OR_NOTHING):
        raise Refusal(f"All or nothing was asked for, and {len(refused)} rows can't be done; {why}.", draft.rows)


def _refused(w: Write, request: AccessRequest, because: str) -> None:
    now = w.move(request, "refuse", actor=MACHINE, details={"because": because}, because=because)
    tell_outcome(w, now, "refused", because=because)


def _of_the_plan(request: AccessRequest) -> tuple[ColumnElement[bool], ...]:
    """What was read for a plan that is not made yet."""
    return col(StepRow.request_id) == request.id, col(StepRow.purpose) == "plan"
