"""Fills the plan into a form that is open (the job ``preview``)."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from approvals import authority, jobs, people
from approvals.authority import Case
from approvals.cases import facts_of, who_may_answer
from approvals.crash import crash_point
from approvals.models import Preview
from approvals.plan import Survey
from approvals.policy import Policy
from approvals.policy_book import PolicyBook
from approvals.ports import Directory, DirectoryError, Impossible
from approvals.store import Store
from bot.slack_out import SlackError, SlackOut
from handlers.request_form import Filled, draw_form, hints
from handlers.text import esc

# The form was closed, or something else was chosen in it meanwhile, which has a job of its own.
OVER = {"not_found", "hash_conflict", "view_not_found"}


@dataclass
class Previews:
    """Reads Atlassian for what was chosen and redraws the form; Submit never waits for it."""

    store: Store
    slack: SlackOut
    directory: Directory
    policies: PolicyBook

    def fill(self, claim: jobs.Claim) -> None:
        """Show the plan in the form; what can't be done or read is shown there too."""
        with self.store.read() as session:
            preview = session.get(Preview, claim.about)
            policy = self.policies.current(session)
            asked = _who_answers(session, policy, preview, self.store.time_in(session)) if preview else ""
        if preview is None:
            return
        filled = Filled.from_text(preview.form)
        lines = [*hints(policy, Filled(entitlement=preview.entitlement)), asked, *self._plan(policy, preview)]
        crash_point("form: before filling")
        try:
            self.slack.update_view(preview.id, preview.hash, draw_form(filled, [line for line in lines if line]))
        except SlackError as error:
            if error.code not in OVER:
                raise
        crash_point("form: filled")
        with self.store.work(claim) as w:
            w.session.delete(preview)

    def _plan(self, policy: Policy, preview: Preview) -> list[str]:
        entitlement = policy.entitlement(preview.entitlement)
        if entitlement is None:
            return []
        try:
            survey = self.directory.survey_grant(preview.subject, entitlement)
        except Impossible as no:
            return [f":no_entry: {esc(str(no), 900)}"]
        except DirectoryError as error:
            return [f":warning: Atlassian can't be read just now: {esc(str(error), 500)}"]
        return _lines(survey)


def _lines(survey: Survey) -> list[str]:
    lines = [f"{number}. {esc(step.words, 600)}" for number, step in enumerate(survey.steps, 1)]
    if survey.holds:
        lines.append(f":warning: {esc(survey.subject_name)} holds it already, so nothing would change.")
    return ["*What would happen*", *lines, *(f":warning: {esc(warning, 500)}" for warning in survey.warnings)]


def _who_answers(session: Session, policy: Policy, preview: Preview, now: datetime) -> str:
    entitlement = policy.entitlement(preview.entitlement)
    speaker = people.speaker(session, policy, preview.team, preview.user)
    if entitlement is None or isinstance(speaker, people.Stop):
        return ""
    facts = facts_of(session, policy, entitlement, preview.subject, now)
    case = Case(policy, entitlement, "grant", speaker.account, preview.subject, facts)
    asked = who_may_answer(session, case)
    names = people.names(session, {candidate.account for candidate in asked})
    if not asked:
        return f":no_entry: {authority.nobody_is_left(case)}"
    return "Would be answered by " + " or ".join(f"*{esc(names[candidate.account])}*" for candidate in asked) + "."
