"""Draws the window of safe mode anew after a click in it (the job ``safe page``)."""

from dataclasses import dataclass

from approvals import jobs, people, safe_mode
from approvals.crash import crash_point
from approvals.models import Preview
from approvals.store import Store
from bot.slack_out import SlackError, SlackOut
from handlers.desk import Desk
from handlers.safe_mode import IS_OFF, VIEW, page_for

OVER = {"not_found", "view_not_found", "hash_conflict"}  # it was closed meanwhile
SETTLING = 1.0  # seconds between two looks whether what was clicked is done


@dataclass
class SafeModePages:
    """Who looks is looked at for each page."""

    store: Store
    slack: SlackOut
    desk: Desk

    def draw(self, claim: jobs.Claim) -> None:
        """Once now, and once more when what was clicked is done."""
        with self.store.read() as session:
            wanted = session.get(Preview, claim.about)
            if wanted is None:
                return
            now = self.store.time_in(session)
            speaker = people.speaker(session, self.desk.policy(session), wanted.team, wanted.user)
            if isinstance(speaker, people.Stop) or self.desk.safe.why_not(session, speaker, now):
                return
            mode = safe_mode.current(session)
            number, _, said = wanted.form.partition(":")
            page = int(number) if number.isdigit() else 0
            view = page_for(self.desk, session, mode, page, wanted.id, said) if mode else _is_over(wanted.id)
            settling = mode is not None and safe_mode.is_settling(session, mode)
        crash_point("safe page: before drawing")
        try:
            self.slack.update_private(wanted.id, view)
        except SlackError as error:
            if error.code not in OVER:
                raise
            settling = False
        crash_point("safe page: drawn")
        if settling:
            raise jobs.Later(SETTLING, "what was clicked is being done")
        with self.store.work(claim) as w:
            gone = w.session.get(Preview, wanted.id)
            if gone is not None and gone.form == wanted.form:  # else another page was asked for meanwhile
                w.session.delete(gone)


def _is_over(external: str) -> dict[str, object]:
    def text(words: str) -> dict[str, str]:
        return {"type": "plain_text", "text": words}

    section = {"type": "section", "text": {"type": "mrkdwn", "text": IS_OFF}}
    return {
        "type": "modal", "callback_id": VIEW, "external_id": external, "title": text("Safe mode"),
        "close": text("Close"), "blocks": [section],
    }  # fmt: skip
