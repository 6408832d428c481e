"""What may follow what: the statuses, and the one table of the moves between them."""

from enum import StrEnum


class Status(StrEnum):
    """The life of a request."""

    ASKED = "asked"  #: written down; Atlassian is being read and the plan made
    PENDING = "pending"  #: the plan is on the card; somebody must answer
    APPROVED = "approved"  #: the answer was yes; the approval is in the chain
    SCHEDULED = "scheduled"  #: approved, waiting for a set time or the pause of a high tier
    APPLYING = "applying"  #: the steps are being taken
    PARTLY = "partly"  #: some steps are true, the rest refused or waiting for Continue
    DONE = "done"  #: every step was read back and is true
    REFUSED = "refused"  #: the rules or Atlassian do not allow it
    DENIED = "denied"  #: an approver said no
    CANCELLED = "cancelled"  #: taken back before anything was changed
    LAPSED = "lapsed"  #: nobody answered in time
    FAILED = "failed"  #: Atlassian did not do it, and it was given up


class Grant(StrEnum):
    """The life of an entitlement held because of a request."""

    PROMISED = "promised"  #: the end is committed; the call that gives is still to come
    ACTIVE = "active"  #: a read confirmed it
    ENDING = "ending"  #: being taken away; retried until true
    ENDED = "ended"  #: a read confirmed that it is gone, or something else still gives it; found again, it ends again
    VOID = "void"  #: was never given


class Review(StrEnum):
    """The life of a review after break-glass."""

    DUE = "due"  #: somebody must say whether it was right
    OVERDUE = "overdue"  #: nobody did in time; the right to break glass rests
    SETTLED = "settled"  #: a verdict with a reason is in the record


Life = type[Status] | type[Grant] | type[Review]
Move = tuple[StrEnum | None, str, StrEnum, str]

# from, verb, to, what it means. The README's diagrams are printed from this table.
REQUEST_MOVES: tuple[Move, ...] = (
    (None, "ask", Status.ASKED, "somebody asks"),
    (Status.ASKED, "plan", Status.PENDING, "Atlassian was read; the cards appear"),
    (Status.ASKED, "refuse", Status.REFUSED, "what only Atlassian can tell says no"),
    (Status.ASKED, "cancel", Status.CANCELLED, "the requester takes it back"),
    (Status.ASKED, "lapse", Status.LAPSED, "Atlassian could not be read in time"),
    (Status.ASKED, "break_glass", Status.APPROVED, "the rule decides; people answer for it afterwards"),
    (Status.ASKED, "adopt", Status.DONE, "held already, which a lost record forgot: an admin gives it an end"),
    (Status.ASKED, "record", Status.DONE, "given by hand while Gatehouse was down, and entered afterwards"),
    (Status.PENDING, "approve", Status.APPROVED, "enough approvers said yes"),
    (Status.PENDING, "deny", Status.DENIED, "an approver said no, with a reason"),
    (Status.PENDING, "cancel", Status.CANCELLED, "the requester takes it back"),
    (Status.PENDING, "lapse", Status.LAPSED, "nobody answered in time"),
    (Status.PENDING, "edit", Status.ASKED, "shorter, lower, or another rule: a new version is planned"),
    (Status.APPROVED, "schedule", Status.SCHEDULED, "a set time or a pause comes first"),
    (Status.APPROVED, "apply", Status.APPLYING, "the end is committed, then the steps are taken"),
    (Status.APPROVED, "refuse", Status.REFUSED, "something hashed or decided changed since the approval"),
    (Status.APPROVED, "fail", Status.FAILED, "Atlassian could not be read in time to begin"),
    (Status.SCHEDULED, "apply", Status.APPLYING, "the time has come"),
    (Status.SCHEDULED, "cancel", Status.CANCELLED, "stopped during the pause"),
    (Status.SCHEDULED, "refuse", Status.REFUSED, "something changed during the pause"),
    (Status.SCHEDULED, "fail", Status.FAILED, "Atlassian could not be read in time to begin"),
    (Status.APPLYING, "finish", Status.DONE, "every step was read back"),
    (Status.APPLYING, "stop_partly", Status.PARTLY, "a step was refused after others became true"),
    (Status.APPLYING, "fail", Status.FAILED, "nothing became true, and it was given up"),
    (Status.PARTLY, "resume", Status.APPLYING, "somebody pressed Continue"),
    (Status.PARTLY, "fail", Status.FAILED, "given up; what is true stays said"),
)

GRANT_MOVES: tuple[Move, ...] = (
    (None, "promise", Grant.PROMISED, "committed with its end, before the call"),
    (Grant.PROMISED, "confirm", Grant.ACTIVE, "a read shows it"),
    (Grant.PROMISED, "void", Grant.VOID, "Atlassian refused; it was never given"),
    (Grant.PROMISED, "end", Grant.ENDING, "in doubt, or due before it was confirmed: taken away to be sure"),
    (Grant.ACTIVE, "end", Grant.ENDING, "its time is over, or somebody ended it"),
    (Grant.ENDING, "confirm_end", Grant.ENDED, "a read shows it gone, or another grant still needs it"),
    (Grant.ENDED, "end_again", Grant.ENDING, "found there again, and nothing explains it: taken away once more"),
)

REVIEW_MOVES: tuple[Move, ...] = (
    (None, "open", Review.DUE, "break-glass was used"),
    (Review.DUE, "settle", Review.SETTLED, "a verdict with a reason"),
    (Review.DUE, "overdue", Review.OVERDUE, "the day is over"),
    (Review.OVERDUE, "settle", Review.SETTLED, "late, but settled"),
)

TRANSITIONS: dict[tuple[StrEnum | None, str], StrEnum] = {
    (before, verb): after
    for before, verb, after, _ in (*REQUEST_MOVES, *GRANT_MOVES, *REVIEW_MOVES)
    if before is not None
}

OPEN = frozenset({Status.ASKED, Status.PENDING, Status.APPROVED, Status.SCHEDULED, Status.APPLYING, Status.PARTLY})
QUIET = frozenset({"deactivate", "offboard", "suspend", "tokens", "bulk"})  # verbs their subject must not see before
DECIDED = frozenset(Status) - {Status.ASKED, Status.PENDING}
LIVE = frozenset({Grant.PROMISED, Grant.ACTIVE})
EARLY = "ended early"  # how it begins why a grant ended before its time: by whom, or from where
HELD = LIVE | {Grant.ENDING}  # perhaps still so in Atlassian: no read has shown it gone


def after(status: StrEnum, verb: str) -> StrEnum | None:
    """Where ``verb`` leads from ``status``; None when the table has no such move."""
    return TRANSITIONS.get((status, verb))


def diagram(moves: tuple[Move, ...]) -> str:
    """The moves as a Mermaid state diagram, as the README shows it."""
    lines = ["stateDiagram-v2"]
    for before, verb, to, _ in moves:
        lines.append(f"    {before or '[*]'} --> {to}: {verb}")
    left = {before for before, *_ in moves}
    lines += [f"    {status} --> [*]" for status in type(moves[0][2]) if status not in left]
    return "\n".join(lines)
