"""Reads a list that was handed in and asks for it (the job ``bulk file``); what is wrong with it is said directly."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import select

from approvals import audit, jobs, people
from approvals.bulk_cases import BULK
from approvals.bulk_rows import ALL_OR_NOTHING, Line, Row, judge
from approvals.crash import crash_point
from approvals.dead_letters import SORRY
from approvals.models import AccessRequest, Preview
from approvals.policy import Person as Speaker
from approvals.policy_book import PolicyBook
from approvals.store import MACHINE, AlreadyThere, Store, Write
from approvals.workflow import Ask, Refused, Workflow
from bot.slack_files import SlackFiles
from bot.slack_out import SlackError
from handlers.bulk import HandedIn
from handlers.bulk_file import BadFile, read_list
from handlers.text import esc, sentence

WHY_NOT_READ = {
    "file_too_large": "The file is larger than 5 MB; split it into several lists.",
    "file_not_found": "Slack does not have the file any more; hand it in once more.",
    "file_deleted": "Slack does not have the file any more; hand it in once more.",
    "file_not_readable": "Slack does not let me read the file. Ask whoever runs Gatehouse for the scope files:read.",
    "missing_scope": "Slack does not let me read the file. Ask whoever runs Gatehouse for the scope files:read.",
    "file_address_is_strange": "The file's name has characters I can't fetch it by; give it a plain name.",
}
NOT_THE_SAME = "The list in the database is not the one that was handed in, so nothing was asked."


@dataclass
class BulkIntake:
    """From bytes to a request; the same list is asked for once."""

    store: Store
    files: SlackFiles
    workflow: Workflow
    policies: PolicyBook

    def read(self, claim: jobs.Claim) -> None:
        """Fetch, read, judge, ask, and say what came of it."""
        with self.store.read() as session:
            waiting = session.get(Preview, claim.about)
            policy = self.policies.current(session)
            speaker = people.speaker(session, policy, waiting.team, waiting.user) if waiting else None
        if waiting is None:
            return
        given = HandedIn.from_text(waiting.form)
        kind, facts = "bulk_asked", {}
        try:
            if not isinstance(speaker, Speaker):
                raise BadFile(speaker.because if speaker else "")
            facts = self._ask(speaker, given, waiting)
        except (BadFile, Refused) as no:
            kind, facts = "answer", {"text": f":no_entry: {esc(sentence(str(no)), 2000)}"}
        crash_point("bulk file: read")
        with self.store.work(claim, last=True) as w:
            gone = w.session.get(Preview, waiting.id)
            if gone is not None:
                w.session.delete(gone)
            once = f"bulk file:{waiting.id}"
            w.tell(kind, place="person", once=once, team=waiting.team, user=waiting.user, **facts)

    def last_words(self, w: Write, claim: jobs.Claim) -> bool:
        """The job that reads it is given up: nothing was asked, and whoever handed it in hears so."""
        waiting = w.session.get(Preview, claim.about)
        if waiting is None:
            return False
        w.session.delete(waiting)
        text = f":no_entry: The list was not asked for: {SORRY}. Hand it in once more later."
        once = f"bulk file:{waiting.id}"
        w.tell("answer", place="person", once=once, team=waiting.team, user=waiting.user, text=text)
        return True

    def lapse(self, claim: jobs.Claim) -> None:
        """A list from a shell that nobody has said to be theirs for a day is forgotten (the job ``bulk lapse``)."""
        with self.store.work(claim, last=True) as w:
            waiting = w.session.get(Preview, claim.about)
            if waiting is None:
                return
            w.session.delete(waiting)
            w.audit("bulk.lapsed", actor=MACHINE, request=waiting.id)
            whom = {"team": waiting.team, "user": waiting.user}
            text = ":zzz: The list that was handed in in your name from a shell has lapsed. Nothing was asked."
            w.tell("answer", place="person", once=f"bulk lapse:{waiting.id}", text=text, **whom)

    def _ask(self, speaker: Speaker, given: HandedIn, waiting: Preview) -> dict[str, Any]:
        """What there is to tell: the request, how many rows, how many of them can't be done as far as is known."""
        known = self._asked_before(waiting)
        if known is not None:
            return {"id": known, "rows": 0, "refused": 0, "joined": False}
        data = self._bytes(given, waiting)
        lines = self._lines(data, speaker)
        rows = self._judged(lines, speaker, given.reason)
        digest = hashlib.sha256(data).hexdigest() + (ALL_OR_NOTHING if given.whole else "")
        ask = Ask(BULK, speaker.account, "", None, given.reason, f"list:{waiting.id}", value=digest, rows=tuple(rows))
        try:
            asked = self.workflow.ask(speaker, ask)
        except AlreadyThere:
            raise BadFile("This list was refused before.") from None
        refused = sum(not row.valid for row in rows)
        return {"id": asked.id, "rows": len(rows), "refused": refused, "joined": asked.joined}

    def _asked_before(self, waiting: Preview) -> str | None:
        with self.store.read() as session:
            asked = select(AccessRequest.id).where(AccessRequest.source == f"list:{waiting.id}")
            return session.exec(asked).first()

    def _bytes(self, given: HandedIn, waiting: Preview) -> bytes:
        if not given.file:
            data = given.text.encode("utf-8", "surrogateescape")
            with self.store.read() as session:
                entries = audit.find(session, event="bulk.handed_in", request=waiting.id)
            if not entries or entries[0]["data"].get("digest") != hashlib.sha256(data).hexdigest():
                raise BadFile(NOT_THE_SAME)
            return data
        try:
            return self.files.read(given.file)
        except SlackError as error:
            if error.retry and error.code not in WHY_NOT_READ:
                raise
            raise BadFile(WHY_NOT_READ.get(error.code, f"Slack did not give me the file ({error.code}).")) from None

    def _lines(self, data: bytes, speaker: Speaker) -> list[Line]:
        with self.store.read() as session:
            zone = people.zone_of(session, speaker.team, speaker.user)
            now = self.store.time_in(session)
        return read_list(data, now, zone)

    def _judged(self, lines: Sequence[Line], speaker: Speaker, reason: str) -> list[Row]:
        with self.store.read() as session:
            policy = self.policies.current(session)
            return judge(session, policy, speaker, lines, self.store.time_in(session), reason)
