"""Requests in every state they can be drawn in, with one text in each field that somebody outside can write."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from approvals.authority import Candidate, Case, Facts
from approvals.models import AccessRequest, Card, Drift, Grant, News, StepRow
from approvals.plan import Plan, Step, Survey
from approvals.policy import Policy
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from bot.sandbox.demo_policy import demo_policy
from handlers.view import RequestView

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLICY = Policy.parse(demo_policy())
AUDIT_LOG = "https://admin.atlassian.com/o/0b1d7a52-6c38-4b57-9a3e-1f5a4d2c9e01/audit-log"
ADA, TOMAS, GRACE = "712020:ada", "712020:tomas", "712020:grace"


ORDINARY = "ordinary words"
# What somebody outside can write, and what is drawn of it.
FIELDS = ("name", "mail", "reason", "words", "group", "warning", "because", "about", "candidate", "answer")


def view_with(
    text: str, status: Status = Status.PENDING, *, grant: GrantStatus | None = None, approvers: int = 2, steps: int = 2,
    warnings: int = 2, duration: int | None = 7200, only: str = "", **more: Any,
) -> RequestView:  # fmt: skip
    """Ada asks for something for Tomáš; ``text`` stands in every foreign field, or in ``only`` one of FIELDS."""
    text = text.encode("utf-8", "ignore").decode()  # half a pair can't be stored, so it never comes this far
    name, mail, reason, words, group, warning, because, about, candidate, answer = (
        text if only in ("", field) else ORDINARY for field in FIELDS
    )
    decided = status in (Status.APPROVED, Status.APPLYING, Status.PARTLY, Status.DONE, Status.FAILED)
    request = AccessRequest(
        id="REQ-23456789ab", verb="grant", subject=TOMAS, requester=ADA, team="T0HARBOUR", user="U0ADA002",
        entitlement="eu-jira-admins", duration=duration, reason=reason, status=status, version=2, plan_hash="h",
        rule_hash="r", policy_hash="p", source="s", asked_at=NOON, lapses_at=NOON, moved_at=NOON, because=because,
        approver=GRACE if decided else None, closed_by=GRACE,
    )  # fmt: skip
    request = AccessRequest(**{**request.model_dump(), **more})
    step = Step(
        does="add_member", owner="scim:d1", target="g1", target_name=group, account=TOMAS, member="m1", api="SCIM",
        method="PATCH", path="/scim/directory/d1/Groups/g1", words=f"add {words} to the group {group}",
    )  # fmt: skip
    survey = Survey(
        steps=(step,) * steps, holds=False, subject_name=name, subject_mail=mail, warnings=(warning,) * warnings
    )
    plan = Plan.of(verb="grant", subject=TOMAS, entitlement="eu-jira-admins", duration=duration, survey=survey)
    entitlement = POLICY.entitlement("eu-jira-admins")
    assert entitlement is not None
    rows = [
        StepRow(
            request_id=request.id, purpose=purpose, position=0, body=step.model_dump_json(), status="true", true_at=NOON
        )
        for purpose in ("apply", "end")
    ]  # fmt: skip
    held = Grant(
        request_id=request.id, account=TOMAS, entitlement="eu-jira-admins", holding="h", status=grant or "promised",
        held_before=False, promised_at=NOON, ends_at=NOON, ended_at=NOON, because=because,
    )  # fmt: skip
    names = {ADA: name, TOMAS: name, GRACE: name} | {f"712020:{n}": name for n in range(approvers)}
    return RequestView(
        request=request, plan=plan, grant=held if grant else None, given=rows[:1] * steps, taken=rows[1:] * steps,
        entitlement=replace(entitlement, about=about),
        approvers=[Candidate(f"712020:{n}", candidate, f"712020:{n}") for n in range(approvers)],
        rule=entitlement, case=Case(POLICY, entitlement, "grant", ADA, TOMAS, Facts(GRACE)),
        subject_name=name, subject_mail=mail, names=names, slack={}, answers={0: answer},
        drifts=[
            Drift(
                grant_id=1, request_id=request.id, entitlement="eu-jira-admins", account=TOMAS, kind=kind,
                state=state, first_seen_at=NOON,
            )
            for kind, state in (("missing", "open"), ("left over", "open"), ("left over", "explained"))
        ] if grant else (),
        thread=Card(request_id=request.id, place="channel", channel="C0ACCESS01", ts="1.2", link="https://w.slack.com/p1"),
    )  # fmt: skip


def every_view(text: str, **more: Any) -> Iterator[RequestView]:
    """Each state of a request, and each state of a grant of a request that is done; a rehearsal as well."""
    for status in Status:
        yield view_with(text, status, **more)
    for grant in GrantStatus:
        yield view_with(text, Status.DONE, grant=grant, **more)
    yield view_with(text, Status.DONE, rehearsal=True, **more)
    incident = text if more.get("only", "") in ("", "reason") else ORDINARY
    for status in (Status.ASKED, Status.APPROVED, Status.DONE, Status.REFUSED):
        yield view_with(text, status, **({"value": incident} | more))
    for grant in GrantStatus:
        entered = {"value": incident, "source": "by hand:1", "requester": TOMAS, "user": ""}
        yield view_with(text, Status.DONE, grant=grant, **(entered | more))
    for status in (Status.ASKED, Status.PENDING, Status.APPLYING, Status.PARTLY, Status.DONE):
        yield list_with(text, status, **more)


def list_with(text: str, status: Status, **more: Any) -> RequestView:
    """The same of a list, whose plan is a few lines and whose rows are counted."""
    view = view_with(text, status, **more)
    assert view.plan is not None
    said = text if more.get("only", "") in ("", "words") else ORDINARY
    plan = view.plan.model_copy(update={"verb": "bulk", "rows": "a digest", "accounts": 3, "lines": (said,) * 5})
    counts = {"valid": 1, "done": 2, "failed": 1, "refused": 1}
    request = AccessRequest(**{**view.request.model_dump(), "verb": "bulk", "entitlement": "", "duration": None})
    return replace(view, request=request, plan=plan, entitlement=None, given=(), taken=(), counts=counts)


FACTS: dict[str, dict[str, str]] = {
    "approved": {}, "denied": {"reason": "?"}, "cancelled": {}, "lapsed": {"because": "?"}, "refused": {"because": "?"},
    "failed": {"because": "?"}, "rehearsed": {}, "done": {}, "ended": {"kept": "?"}, "about_you": {},
    "waiting": {"because": "?"}, "vote_refused": {"because": "?"}, "no_card": {"why": "?"},
    "answer": {}, "standing": {}, "no_card_for_operators": {"why": "?"}, "alarm": {"why": "?"},
    "bound": {"name": "?", "account": "?"},
    "unbound": {"name": "?", "because": "?"},
    "source_changed": {"source": "?"},
    "proposal_asked": {},
    "proposal_closed": {"because": "?"},
    "policy_applied": {"file": "?"},
    "frozen": {"because": "?", "by": "?"},
    "unfrozen": {},
    "shell_act": {"by": "?", "did": "?"},
    "stands_in": {"whom": "?"},
    "stands_in_no_more": {"whom": "?"},
    "stood_in_for": {"whom": "?", "by": "?"},
    "voted": {"because": "?"},
    "scheduled": {},
    "edited": {"was": "?", "now": "?"}, "escalated": {}, "reminder": {"because": "?"},
    "changed": {"in lists": "?"},
    "partly": {"because": "?"},
    "left": {},
    "welcomed": {"in lists": "?"},
    "job_in_trouble": {"why": "?", "job": "?", "about": "?"},
    "key_expires": {"setting": "?", "on": "?"}, "key_next": {"setting": "?", "why": "?"},
    "key_refused": {"setting": "?", "what": "?"}, "record_broken": {"problem": "?"},
    "logged": {"in lists": "?"}, "not_logged": {"what": "?"}, "event_missing": {"did": "?"},
    "key_used": {"says": "?", "action": "?", "with_": "?"}, "log_unreadable": {"why": "?"},
    "emergency_trouble": {"name": "?", "account": "?", "found": "?", "mend": "?"}, "emergency_unreadable": {"why": "?"},
    "emergency_event": {"name": "?", "account": "?", "says": "?", "action": "?", "event": "?"},
    "bulk_confirm": {"by": "?", "name": "?", "reason": "?"}, "bulk_done": {"because": "?"},
    "bulk_ended": {"early": "?"}, "bulk_given": {}, "bulk_asked": {},
    "glass": {"by": "?"}, "glass_second": {"by": "?", "why": "?"}, "glass_unheard": {}, "review_overdue": {},
    "review_settled": {"reason": "?", "by": "?"}, "misuse": {"because": "?"}, "drill_due": {},
    "drill_asked": {"by": "?"}, "by_hand": {"by": "?"},
    "offer": {"incident": "?", "title": "?", "link": "?"},
    "offer_to_nobody": {"incident": "?", "title": "?", "link": "?", "why": "?"},
    "ends_soon": {}, "bulk_ends_soon": {}, "ends_late": {"in lists": "?"},
    "ended_together": {"entitlement": "?"},
    "drift": {"in lists": "?"}, "reconciled": {"in lists": "?"},
    "safe_mode": {"why": "?"}, "safe_mode_left": {"by": "?"}, "adopted": {},
}  # fmt: skip


def news_of(kind: str, text: str, place: str = "person", only: str = "") -> News:
    """News of a kind; ``text`` stands in each fact that comes from outside, or in ``only`` one of them."""
    foreign = {fact: text if only in ("", fact) else ORDINARY for fact in FACTS[kind]}
    facts = {
        "by": GRACE,
        "late": 7200.0,
        "where": "C0ACCESS01",
        "dead": True,
        "attempts": 3,
        **{"days": 14, "replaced": False, "both": True},
        "text": "an answer",
        "wanted": 1,
        "stage": 1,
        "stages": 2,
        "starts_at": NOON.timestamp(),
        "until": NOON.timestamp(),
        "whose": "U0ADA002",
        "how": "match",
        "confirmed": False,
        "votes_from": NOON.timestamp(),
        "id": "PRO-1",
        "what": "policy",
        "status": "agreed",
        **{"rows": 3, "whole": True, "digest": "0123456789abcdef", "counts": {"done": 2, "failed": 1, "refused": 1}},
        **{"refused": 1, "joined": False, "taken": 2, "kept": 1, "entitlement": "eu-jira-admins"},
        **{"drill": False, "mine": False, "ends_at": NOON.timestamp(), "hours": 24, "verdict": "legitimate"},
        **{"last": NOON.timestamp(), "suspends": ""},
        "came": [text if only in ("", "came") else ORDINARY],
        "gone": [text if only in ("", "gone") else ORDINARY],
        "products": [text if only in ("", "in lists") else ORDINARY],
        "wishes": [["REQ-1", text if only in ("", "in lists") else ORDINARY]],
        "refused": 1 if kind.startswith("bulk") else [text if only in ("", "in lists") else ORDINARY],
        "ended": [
            [text if only in ("", "in lists") else ORDINARY, "REQ-1", NOON.timestamp(), foreign.get("in lists", "")]
        ],
        "account": "712020:new",
        **{"more": 2, "looking": 1, "minutes": 30, "event": "e-1", "at": NOON.timestamp()},
        "lines": [
            {"state": state, "did": listed, "says": listed, "event": "e-1", "link": "https://admin.atlassian.com/x"}
            for state in ("found", "doubtful", "missing")
            for listed in [text if only in ("", "in lists") else ORDINARY]
        ],
        "cancelled": [["REQ-1", NOON.timestamp()]],
        **{"known": 3, "figures": {"adopted": 2, "left": 1}},
        **{"kind_": "left over", "repairs": True, "holdings": 3, "people": 9, "suspected": 1},
        "differs": [["missing", *[listed] * 4] for listed in [text if only in ("", "in lists") else ORDINARY]],
        "unread": [[listed, listed] for listed in [text if only in ("", "in lists") else ORDINARY]],
        **{"count": 12, "ending": 2, "held": 5},
        "some": [[text if only in ("", "in lists") else ORDINARY, "REQ-1"]],
        **{"did": False, "since": NOON.timestamp(), "over": False, "shown": False, "was_member": False},
        **foreign,
    }
    return News(key="k", kind=kind, place=place, request_id="REQ-23456789ab", facts=json.dumps(facts), at=NOON)
