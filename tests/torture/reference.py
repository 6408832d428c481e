"""What requests and grants are to do, in the fewest words: the model that the product is held against step by step."""

from dataclasses import dataclass, field

LAPSES = 24 * 3600.0
LONGEST = {"eu-jira-admins": 8 * 3600.0, "eu-confluence-admins": 30 * 24 * 3600.0}
MAY_ANSWER = {"eu-jira-admins": {"grace"}, "eu-confluence-admins": {"grace", "mei"}}  # of those whom Grace manages


@dataclass
class Request:
    """A wish; once given it is a grant as well: ``grant`` is its state then."""

    who: str
    what: str
    seconds: float
    asked: float
    ends_by: float | None = None
    extends: bool = False  # it was asked for to hold longer what was held
    status: str = "pending"
    version: int = 1
    grant: str = ""
    held_before: bool = False
    promised: float = 0.0
    ends: float = 0.0
    ended: float | None = None
    was_active: bool = False

    @property
    def live(self) -> bool:
        return self.grant == "active"


@dataclass
class Model:
    """Times are seconds. ``refusing``: Atlassian refuses each change; ``members``: who is in what."""

    members: set[tuple[str, str]] = field(default_factory=set)
    requests: dict[str, Request] = field(default_factory=dict)
    refusing: bool = False
    frozen: bool = False

    def same(self, who: str, what: str, seconds: float, ends_by: float | None = None) -> str:
        """The very same question that is still open; asked twice it is one."""
        for id, one in self.requests.items():
            as_long = one.ends_by == ends_by if ends_by or one.ends_by else one.seconds == seconds
            if one.status == "pending" and (one.who, one.what) == (who, what) and as_long:
                return id
        return ""

    def approve(self, id: str, by: str, now: float) -> None:
        one = self.requests[id]
        if one.status == "pending" and by in MAY_ANSWER[one.what] - {one.who}:
            one.status = "approved"
            self.begin(one, now)

    def begin(self, one: Request, now: float) -> None:
        """The end is promised before it is given; what is held already needs no call."""
        if self.frozen:
            return
        others = [other for other in self.of(one) if other.live]
        held = (one.who, one.what) in self.members
        one.held_before = held and (not others or any(other.held_before for other in others))
        one.promised = now
        one.ends = min(now + one.seconds, one.ends_by or float("inf"))
        if one.ends <= now or (not held and self.refusing):
            one.status, one.grant = "failed", "void"
            return
        self.members.add((one.who, one.what))
        one.status, one.grant, one.was_active = "done", "active", True

    def deny(self, id: str, by: str) -> None:
        one = self.requests[id]
        if one.status == "pending" and by in MAY_ANSWER[one.what] - {one.who}:
            one.status = "denied"

    def less(self, id: str, by: str, seconds: float, until: float | None = None) -> None:
        """Shorter, or sooner over; a moment that was said, by whoever asked or answers, stays the end."""
        one = self.requests[id]
        less = seconds < one.seconds if until is None else seconds <= one.seconds and until < (one.ends_by or 1e12)
        if one.status == "pending" and by in MAY_ANSWER[one.what] - {one.who} and less:
            ends = [moment for moment in (one.ends_by, until) if moment is not None]
            one.seconds, one.ends_by, one.version = seconds, min(ends, default=None), one.version + 1

    def cancel(self, id: str, by: str) -> None:
        one = self.requests[id]
        if one.status == "pending" and by == one.who:
            one.status = "cancelled"

    def end(self, id: str, by: str, now: float) -> None:
        one = self.requests[id]
        if one.live and by in (one.who, "sade"):
            one.ends = now
            self.finish(one, now)

    def revoke(self, who: str, what: str, now: float) -> None:
        """Whatever gave it is over with it; of what nobody holds, nothing is called and nothing is over."""
        if (who, what) not in self.members or self.refusing:
            return
        self.members.discard((who, what))
        for one in self.requests.values():
            if one.live and (one.who, one.what) == (who, what):
                one.grant, one.ended = "ended", now

    def finish(self, one: Request, now: float) -> None:
        """Nothing is taken that another grant still gives, or that was held before."""
        kept = one.held_before or any(other.live for other in self.of(one))
        if one.grant == "active" and not kept and (one.who, one.what) in self.members and self.refusing:
            one.grant = "ending"
        elif one.grant == "active" or not self.refusing or (one.who, one.what) not in self.members:
            if not kept or one.grant == "ending":
                self.members.discard((one.who, one.what))
            one.grant, one.ended = "ended", now

    def longer(self, id: str, by: float, now: float) -> tuple[float, float] | None:
        """For how long from now and until when, where it may be."""
        one = self.requests[id]
        if not one.live:
            return None
        ends_by, since = one.ends + by, one.promised
        for other in sorted(self.of(one), key=lambda other: -other.promised):
            over = other.ended if other.ended is not None else other.ends
            if other.was_active and other.promised < since and over >= since:
                since = other.promised
        if ends_by - since > LONGEST[one.what]:
            return None
        return (ends_by - now + 59) // 60 * 60, ends_by

    def time_is(self, now: float) -> None:
        for one in sorted(self.requests.values(), key=lambda one: one.ends):
            if one.grant == "ending" or (one.live and one.ends <= now):
                self.finish(one, now)
        for one in self.requests.values():
            if one.status == "pending" and one.asked + LAPSES <= now:
                one.status = "lapsed"

    def of(self, one: Request) -> list[Request]:
        """The other requests for the same of the same person."""
        same = (other for other in self.requests.values() if (other.who, other.what) == (one.who, one.what))
        return [other for other in same if other is not one]

    def deadlines(self) -> list[float]:
        """When time does something by itself."""
        waiting = [one for one in self.requests.values() if one.status in ("pending", "approved")]
        over = [one.ends_by for one in waiting if one.ends_by is not None]  # from then on it can't be given
        return [one.asked + LAPSES for one in waiting] + over + [one.ends for one in self.requests.values() if one.live]
