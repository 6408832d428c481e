"""Fills the plan into a form that is open (the job ``preview``)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from approvals import authority, extending, jobs, people, safety
from approvals.authority import Case
from approvals.cases import facts_of, who_may_answer
from approvals.crash import crash_point
from approvals.durations import say_duration
from approvals.models import AccessRequest, Grant, Preview
from approvals.plan import Survey
from approvals.planning import Atlassian, first_level, survey_of
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import DirectoryError, Impossible
from approvals.states import LIVE, OPEN
from approvals.store import Store
from approvals.workflow import no_such_rule
from bot.slack_out import SlackError, SlackOut
from handlers.form_asks import newcomer_of, subject_of, value_of
from handlers.request_form import Filled, Shown, decided, draw_form, hints
from handlers.text import esc, sentence, when
from handlers.view import may_see

NOT_THERE = {"not_found", "view_not_found"}  # closed, sent, or not open yet
OPENS = timedelta(seconds=3)  # a trigger opens a form within that time or never
LISTED = 6  # people or things in one line
SO_ALREADY = {
    "grant": "{name} holds it already, so nothing would change.",
    "revoke": "{name} does not hold it, so nothing would change.",
    "provision": "There is such an account already, so none would be made.",
}


@dataclass
class Previews:
    """Reads Atlassian for what stands in the form and redraws it; Submit never waits for it.

    A form has one row and one job, so what was chosen last is drawn last; its own id finds it, and a form that was sent
    has none any more. Slack's hash is not needed for that, and would lose the plan of whoever chooses twice.
    """

    store: Store
    slack: SlackOut
    directory: Atlassian
    policies: PolicyBook

    def fill(self, claim: jobs.Claim) -> None:
        """Show the plan in the form; what can't be done or read is shown there too."""
        with self.store.read() as session:
            preview = session.get(Preview, claim.about)
        if preview is None:
            return
        shown = Shown.from_text(preview.form)
        lines = self._lines(preview, shown.now)
        if self._is_newer(preview):
            return  # something else was chosen meanwhile: this job runs once more, and shows that
        crash_point("form: before filling")
        try:
            self.slack.update_private(preview.id, draw_form(shown.opened, lines, preview.id))
        except SlackError as error:
            if error.code not in NOT_THERE:
                raise
            if shown.opening and self.store.now() - preview.at < OPENS:
                raise jobs.Later(0.3, "the form is not open yet") from None
        crash_point("form: filled")
        with self.store.work(claim) as w:
            row = w.session.get(Preview, preview.id)
            if row is not None and row.form == preview.form:
                w.session.delete(row)

    def _is_newer(self, preview: Preview) -> bool:
        with self.store.read() as session:
            row = session.get(Preview, preview.id)
        return row is not None and row.form != preview.form

    def _lines(self, preview: Preview, filled: Filled) -> list[str]:
        """What the policy and the record say; and unless that is a no, what Atlassian shows."""
        with self.store.read() as session:
            policy = self.policies.current(session)
            opened = hints(policy, filled)
            if not filled.is_enough:
                return opened
            told = _Telling(session, policy, preview, filled, self.store.time_in(session))
            refused = told.refused()
            if refused:
                return [*opened, "", f":no_entry: {refused}"]
            recorded, answered = told.from_the_record(), told.who_answers()
            subject, value = subject_of(session, filled), value_of(filled)
        return [*opened, "", *self._plan(policy, filled, subject, value), *recorded, "", *answered]

    def _plan(self, policy: Policy, filled: Filled, subject: str, value: str) -> list[str]:
        if filled.verb == "extend":
            return []
        try:
            survey = survey_of(self.directory, policy, filled.verb, subject, filled.entitlement, value)
        except Impossible as no:
            return [f":no_entry: {esc(str(no), 900)}"]
        except DirectoryError as error:
            return [f":warning: Atlassian can't be read just now: {esc(str(error), 500)}"]
        return plan_shown(filled.verb, survey)


def plan_shown(verb: str, survey: Survey) -> list[str]:
    """The steps in words, whether it is so already, and what to know."""
    lines = [f"{number}. {esc(step.words, 600)}" for number, step in enumerate(survey.steps, 1)]
    if survey.holds:
        already = SO_ALREADY.get(verb, "It is so already, so nothing would change.")
        lines.append(f":warning: {already.format(name=esc(survey.subject_name))}")
    return ["*What would happen*", *lines, *(f":warning: {esc(warning, 500)}" for warning in survey.warnings)]


@dataclass(frozen=True)
class _Telling:
    """What is known of a form's question without asking anybody outside."""

    session: Session
    policy: Policy
    preview: Preview
    filled: Filled
    now: datetime

    def refused(self) -> str:
        """Why it can't be asked as it stands. Who may not ask is told nothing about the account."""
        speaker = people.speaker(self.session, self.policy, self.preview.team, self.preview.user)
        if isinstance(speaker, people.Stop):
            return esc(speaker.because, 900)
        case = self._case(speaker.account)
        if case is None:
            no = no_such_rule(self.policy, self.filled.verb, self.filled.entitlement)
            return esc(sentence(no.because), 900)
        still = safety.held_back(self.session, self.filled.verb)
        if still:
            return esc(sentence(still), 900)
        verdict = authority.may_request(case, speaker)
        if not verdict:
            return sentence(verdict.because)
        if first_level(self.session, case) is None:
            return authority.nobody_is_left(case)
        return self._not_theirs(speaker.account)

    def _not_theirs(self, account: str) -> str:
        if self.filled.verb != "extend":
            return ""
        request = self.session.get(AccessRequest, self.filled.request)
        speaker = self.policy.person(account, self.preview.team, self.preview.user)
        if request is None or not may_see(self.session, self.policy, speaker, request, self.now):
            return "There is no such request that you may see."
        found = extending.longer(self.session, self.policy, request, timedelta(0), self.now)
        return found if isinstance(found, str) else ""

    def _case(self, requester: str) -> Case | None:
        """Longer is the same question to the same rule as to be given it."""
        verb = "grant" if self.filled.verb == "extend" else self.filled.verb
        rule = self.policy.rule(verb, self.filled.entitlement)
        if rule is None:
            return None
        subject = subject_of(self.session, self.filled)
        facts = facts_of(self.session, self.policy, rule, subject, self.now)
        return Case(self.policy, rule, verb, requester, subject, facts)

    def who_answers(self) -> list[str]:
        """Who would be asked first, and how many of them, how carefully, and with which pause."""
        speaker = people.speaker(self.session, self.policy, self.preview.team, self.preview.user)
        assert not isinstance(speaker, people.Stop)  # it was not refused
        case = self._case(speaker.account)
        assert case is not None
        asked = {candidate.account: None for candidate in who_may_answer(self.session, case)}
        names = people.names(self.session, set(asked))
        shown = [f"*{esc(names[account])}*" for account in asked]
        if len(shown) > LISTED:
            shown = [*shown[: LISTED - 1], f"{len(shown) - LISTED + 1} others"]
        named = " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
        who = f"Would be answered by {named}." if shown else ":warning: Nobody can be asked just now."
        return [who, decided(case.rule)]

    def from_the_record(self) -> list[str]:
        """What else would happen that Atlassian knows nothing of."""
        match self.filled.verb:
            case "offboard":
                return self._what_ends()
            case "provision" if self.filled.also:
                names = ", ".join(f"`{name}`" for name in newcomer_of(self.filled).also)
                return [f"Once there is an account, {names} is asked for."]
            case "extend":
                return self._held()
        return []

    def _what_ends(self) -> list[str]:
        subject = self.filled.subject
        held = select(Grant.entitlement).where(Grant.account == subject, col(Grant.status).in_(LIVE))
        names = sorted(set(self.session.exec(held)))
        about = select(AccessRequest.id).where(AccessRequest.subject == subject, col(AccessRequest.status).in_(OPEN))
        wanted = len(self.session.exec(about).all())
        lines = [f"Held through Gatehouse until now: {', '.join(f'`{name}`' for name in names)}."] if names else []
        if wanted:
            lines.append(f"Open requests about them: {wanted}; what nobody has begun is cancelled.")
        return lines

    def _held(self) -> list[str]:
        request = self.session.get(AccessRequest, self.filled.request)
        grant = self.session.exec(select(Grant).where(Grant.request_id == self.filled.request)).first()
        if request is None or grant is None or grant.ends_at is None:
            return []
        room = extending.room(self.session, self.policy, request)
        more = f" It can be held {say_duration(room)} longer at most." if room is not None else ""
        name = esc(people.names(self.session, {grant.account})[grant.account])
        return [f"*{name}* holds it until {when(grant.ends_at)}, and goes on holding it meanwhile.{more}"]
