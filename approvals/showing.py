"""What Atlassian took and does not show yet: looked at again with growing pauses, and called again once at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import NamedTuple

from sqlmodel import Session, col, select

from approvals import jobs
from approvals.models import AccessRequest, Call, StepRow
from approvals.plan import Step
from approvals.ports import DirectoryError

LOOK_AGAIN = 2.0  # seconds before reading an accepted change again
LONGEST_PAUSE = 60.0  # seconds between two looks, when it has been a while
# Until a change shows everywhere: 30 seconds by the documentation of role assignments, after a call of at most 30.
# https://developer.atlassian.com/cloud/admin/organization/rest/api-group-users/
SHOWS_WITHIN = timedelta(seconds=90)
REPEATS = 1  # calls after one that was answered well, to give or change something; an end is repeated until it shows
NOT_SHOWN = "Atlassian took it and does not show it"


class NotShown(jobs.Later):
    """A call was taken, or refused because it is so already, and no read shows it yet."""


class StillNotShown(DirectoryError):
    """An end that was taken should show by now, and does not."""


class _Made(NamedTuple):
    """A call: when it was answered, or made where no answer came, and what was answered."""

    at: datetime
    answer: str | None

    @property
    def well(self) -> bool:
        return self.answer is not None and not self.answer.startswith("error: ")


@dataclass(frozen=True)
class Tried:
    """The calls of a step since its request, or its end, was last begun."""

    ends: bool = False
    finds_more: bool = False  # each call takes what it finds, so that another one is no repeat
    calls: Sequence[_Made] = ()

    @property
    def _accepted(self) -> Sequence[_Made]:
        """From the first that was answered well on."""
        return list(dropwhile(lambda call: not call.well, self.calls))

    def only_looks(self, now: datetime) -> bool:
        """Whether another call would tell no more than a read: it may be refused, or do twice what is so already."""
        accepted = self._accepted
        if not self.calls or self.finds_more:
            return False
        if not accepted:
            return self.calls[-1].answer is not None and self.may_be_so(now)  # refused, after one that may have arrived
        return now < accepted[-1].at + SHOWS_WITHIN or (len(accepted) > REPEATS and not self.ends)

    def may_be_so(self, now: datetime) -> bool:
        """Whether a refusal may say no more than that it is so already: a call before was taken, or may have been."""
        in_doubt = (call for call in self.calls if call.answer is None)
        return bool(self._accepted) or any(now < call.at + SHOWS_WITHIN for call in in_doubt)

    def later(self, now: datetime) -> Exception:
        """When to look again. Of an end that should show by now it is said aloud; that is tried for ever."""
        since = next((call.at for call in self._accepted or self.calls), now)
        if self.ends and self._accepted and since + SHOWS_WITHIN <= now:
            return StillNotShown(NOT_SHOWN, retry=True)
        pause = max(LOOK_AGAIN, (now - since).total_seconds() / 2)
        return NotShown(min(pause, LONGEST_PAUSE), "accepted, not yet visible")


def tried_before(session: Session, row: StepRow, step: Step) -> Tried:
    """What was called for this step, since somebody pressed Continue if they did, and since it was last true."""
    query = (
        select(Call.intended_at, Call.answered_at, Call.answer)
        .join(StepRow, col(StepRow.id) == col(Call.step_id))
        .join(AccessRequest, col(AccessRequest.id) == col(StepRow.request_id))
        .where(Call.step_id == row.id, col(Call.intended_at) >= col(AccessRequest.moved_at))
        .order_by(col(Call.id))
    )
    if row.true_at is not None:  # it was seen to be so: what was undone since by somebody else is called for anew
        query = query.where(col(Call.intended_at) > row.true_at)
    calls = [_Made(answered or intended, answer) for intended, answered, answer in session.exec(query)]
    return Tried(row.purpose == "end", step.does == "delete_tokens", calls)
