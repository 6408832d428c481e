"""The parts that sentences about a request are made of."""

from datetime import UTC, datetime

from approvals.bulk_cases import BULK
from handlers.cards import NOUNS
from handlers.text import esc, mention, when
from handlers.view import RequestView


def object_of(view: RequestView) -> str:
    """What was asked for, as the object of a sentence."""
    request = view.request
    if request.verb == "grant":
        whose = "" if request.subject == request.requester else f" for {esc(view.subject_name)}"
        return f"`{request.entitlement}`{whose}"
    if request.verb == "revoke":
        return f"the removal of `{request.entitlement}` from {esc(view.subject_name)}"
    if request.verb == BULK:
        return f"the {NOUNS[BULK]}" + (f" of {esc(view.subject_name)}" if view.plan is not None else "")
    return f"the {NOUNS[request.verb]} of {esc(view.subject_name)}"


def asker(view: RequestView) -> str:
    """Whoever asked, called by Slack; by name who has no place in Slack."""
    request = view.request
    return mention(request.user) if request.user else f"*{esc(view.name(request.requester))}*"


def at_time(seconds: float) -> str:
    return when(datetime.fromtimestamp(seconds, UTC))
