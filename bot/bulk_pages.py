"""Draws another page of a list's rows into the window that is open (the job ``bulk page``)."""

from dataclasses import dataclass

from approvals import jobs, people
from approvals.crash import crash_point
from approvals.models import Preview
from approvals.store import Store
from bot.slack_out import SlackError, SlackOut
from handlers.bulk import page_for
from handlers.desk import Desk

OVER = {"not_found", "view_not_found", "hash_conflict"}  # it was closed meanwhile


@dataclass
class BulkPages:
    """Who looks is looked at for each page."""

    store: Store
    slack: SlackOut
    desk: Desk

    def turn(self, claim: jobs.Claim) -> None:
        """One page, drawn once."""
        with self.store.read() as session:
            wanted = session.get(Preview, claim.about)
            if wanted is None:
                return
            speaker = people.speaker(session, self.desk.policy(session), wanted.team, wanted.user)
            request_id, _, page = wanted.form.partition(":")
            number = int(page) if page.isdigit() else 0
            if isinstance(speaker, people.Stop):
                return
            view = page_for(self.desk, session, speaker, request_id, number, wanted.id)
        if view is None:
            return
        crash_point("bulk page: before drawing")
        try:
            self.slack.update_private(wanted.id, view)
        except SlackError as error:
            if error.code not in OVER:
                raise
        crash_point("bulk page: drawn")
        with self.store.work(claim) as w:
            gone = w.session.get(Preview, wanted.id)
            if gone is not None and gone.form == wanted.form:  # else another page was asked for meanwhile
                w.session.delete(gone)
