"""The card: one drawing of a request for each of its states, made from the record and never read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from approvals.bulk_cases import BULK
from approvals.durations import is_over_at_the_moment
from approvals.glass_facts import incident_of, is_by_hand, is_drill
from approvals.models import Drift
from approvals.plan import Step
from approvals.policy import say_duration
from approvals.states import OPEN, Status
from approvals.states import Grant as GrantStatus
from handlers.text import counted, esc, mention, plain, when, within
from handlers.view import RequestView

Block = dict[str, Any]


@dataclass(frozen=True)
class Drawing:
    """A message: blocks, and the text that clients without blocks and notifications show."""

    text: str
    blocks: list[Block]


BEGUN = frozenset({Status.APPLYING, Status.PARTLY, Status.DONE, Status.FAILED})
NO_REASON = "no reason was given"  # Slack did not open the form that asks for it
NOUNS = {
    "revoke": "removal", "deactivate": "deactivation", "reactivate": "reactivation", "suspend": "suspension",
    "restore": "restoring", "offboard": "offboarding", "provision": "provisioning", "email": "change of address",
    "tokens": "deletion of the API tokens", "bulk": "list of changes",
}  # fmt: skip
DIFFERS = {
    ("missing", "open"): ":warning: Atlassian does not show it any more, and the record did not take it.",
    ("left over", "open"): ":warning: Atlassian shows it again although it is over, and nothing explains that.",
    ("left over", "explained"): ":information_source: Somebody else has given it again since, outside Gatehouse.",
}
HEADLINES = {
    Status.ASKED: (":hourglass_flowing_sand:", "Reading Atlassian"),
    Status.PENDING: (":raised_hand:", "Waiting for an answer"),
    Status.APPROVED: (":white_check_mark:", "Approved, about to be applied"),
    Status.SCHEDULED: (":calendar:", "Approved, waiting for its time"),
    Status.APPLYING: (":gear:", "Being applied"),
    Status.PARTLY: (":warning:", "Partly applied"),
    Status.DONE: (":large_green_circle:", "Applied and read back"),
    Status.REFUSED: (":no_entry:", "Refused"),
    Status.DENIED: (":no_entry_sign:", "Denied"),
    Status.CANCELLED: (":wastebasket:", "Cancelled"),
    Status.LAPSED: (":zzz:", "Lapsed"),
    Status.FAILED: (":red_circle:", "Failed"),
}


def draw(view: RequestView, *, buttons: bool) -> Drawing:
    """The card as it stands; ``buttons`` is whether this copy is one to answer on."""
    request = view.request
    does = "breaks glass for" if incident_of(request) else "asks for"
    by_hand = is_by_hand(request)
    does = "was given by hand" if by_hand else does
    title = f"{view.name(request.requester)} {does} {request.entitlement or 'the ' + NOUNS[request.verb]}"
    blocks = [_headline(view), _question(view), *_reason(view)]
    if view.plan is not None and not by_hand:
        blocks.append(_plan(view))
    blocks += _state(view)
    if buttons and request.status == Status.PENDING:
        blocks.append(_buttons(view))
    if buttons:
        blocks.append(_manage(view))
    blocks.append(_foot(view))
    icon, words = headline(view)
    return Drawing(text=f"{icon} {words}: {esc(title)} ({request.id})", blocks=blocks)


def headline(view: RequestView) -> tuple[str, str]:
    """Icon and words of the state, the grant's own life included."""
    grant = view.grant
    if view.request.rehearsal and view.request.status == Status.DONE:
        return ":performing_arts:", "REHEARSAL: nothing was changed in Atlassian"
    if view.request.status == Status.DONE and grant is not None:
        if grant.status == GrantStatus.ENDING:
            return ":hourglass:", "Ending"
        if grant.status == GrantStatus.ENDED:
            return ":white_circle:", "Ended"
        if is_by_hand(view.request):
            return ":writing_hand:", "Given by hand, entered afterwards"
    return HEADLINES[Status(view.request.status)]


def how_long(view: RequestView) -> str:
    """After what is asked for: "for 2 hours", "until revoked", or the moment that was said; what ends first."""
    length, latest = length_and_moment(view)
    if not length:
        return f"until {latest}"
    words = length if view.request.duration is None else f"for {length}"
    return f"{words}, until {latest} at the latest" if latest else words


def length_and_moment(view: RequestView) -> tuple[str, str]:
    """For how long and until when, in words; one of them is empty where it is known that the other ends first.

    An approver may have made shorter what was asked until a moment. Which of both ends it is known when it begins.
    """
    request, grant = view.request, view.grant
    if request.ends_by is None:
        return for_how_long(view), ""
    begins = grant.promised_at if grant is not None else max(request.moved_at, request.starts_at or request.moved_at)
    if is_over_at_the_moment(request.ends_by, begins, request.duration):
        return "", when(request.ends_by)
    return for_how_long(view), "" if grant is not None else when(request.ends_by)


def for_how_long(view: RequestView) -> str:
    seconds = view.request.duration
    return say_duration(timedelta(seconds=seconds) if seconds is not None else None)


def _headline(view: RequestView) -> Block:
    icon, words = headline(view)
    return _section(f"{icon} *{words}*")


def _question(view: RequestView) -> Block:
    request = view.request
    length = f" *{how_long(view)}*" if request.verb == "grant" else ""
    asked = f"{mention(request.user)} asks for {what(view)}{length}"
    if incident_of(request):
        kind = (
            ":test_tube: A drill" if is_drill(request) else f":rotating_light: Broken glass for *{esc(request.value)}*"
        )
        asked = f"{kind}: {mention(request.user)} takes {what(view)}{length}"
    if is_by_hand(request):
        asked = f":writing_hand: Given by hand for *{esc(request.value)}*: {what(view)} to *{esc(view.subject_name)}*"
    about = [f"_{esc(view.entitlement.about)}_"] if view.entitlement and view.entitlement.about else []
    if request.verb == BULK:
        return _section(asked)
    if request.extends:
        asked += f", longer than {esc(request.extends, 100)} gives it"
    who = f"{esc(view.subject_name)} · {esc(view.subject_mail)} · `{request.subject}`"
    return _section(asked, *about, who)


def _reason(view: RequestView) -> list[Block]:
    if not view.request.reason:
        return []
    # Rich text takes the words as they are: nothing in them can become markup or a mention.
    quote = {
        "type": "rich_text_quote",
        "elements": [{"type": "text", "text": plain(view.request.reason, 2500)}],
    }
    return [{"type": "rich_text", "elements": [quote]}]


def what(view: RequestView) -> str:
    """What is asked for, and of whom, as the words of a command."""
    request = view.request
    named = f" `{request.entitlement}`" if request.entitlement else ""
    if request.verb == "grant":
        whose = "" if request.subject == request.requester else f" for *{esc(view.subject_name)}*"
        return f"{named.strip()}{whose}"
    if request.verb == "revoke":
        return f"the removal of{named} from *{esc(view.subject_name)}*"
    if request.verb == BULK:
        return f"the {NOUNS[request.verb]}" + (f" of *{esc(view.subject_name)}*" if view.plan is not None else "")
    return f"the {NOUNS[request.verb]} of *{esc(view.subject_name)}*"


def _plan(view: RequestView) -> Block:
    title = "*What will happen*" if view.request.status in (Status.ASKED, Status.PENDING) else "*The plan*"
    return _section(title, *plan_lines(view))


def plan_lines(view: RequestView) -> list[str]:
    """The steps in their order, what is so now, and what to know."""
    assert view.plan is not None
    if view.plan.rows:
        return [f"• {esc(line, 500)}" for line in view.plan.lines] + [
            f":warning: {esc(warning, 500)}" for warning in view.plan.warnings
        ]
    lines = []
    lines += [f"{number}. {esc(step.words, 600)}" for number, step in enumerate(view.plan.steps, 1)]
    if view.request.duration is not None:
        length, latest = length_and_moment(view)
        at = [f"{length} later"] if length else []
        at += [f"{latest} at the latest" if length else latest] if latest else []
        lines.append(f"{len(view.plan.steps) + 1}. taken away again {', '.join(at)}")
    if view.request.verb == "grant":
        holds = "holds it already, so nothing has to be given" if view.plan.holds else "does not hold it now"
        lines.append(f"{esc(view.subject_name)} {holds}.")
    elif view.plan.holds:
        lines.append("It is so already, so nothing will change.")
    return lines + [f":warning: {esc(warning, 500)}" for warning in view.plan.warnings]


def _state(view: RequestView) -> list[Block]:
    request, grant = view.request, view.grant
    begun = request.status in BEGUN and not request.rehearsal  # of a rehearsal no row is done, and none is to come
    lines: list[str] = [figures(view.counts)] if begun and view.counts else []
    if request.status == Status.PENDING:
        lines += _who_answers(view)
    if request.status == Status.SCHEDULED and request.starts_at:
        lines.append(f"Nothing is done before {when(request.starts_at)}: any approver and who asked may stop it.")
    if request.approver and view.case is not None and len(view.case.yes) > 1:
        lines += [f"Approved by *{esc(view.name(one.account))}*" for one in view.case.yes]
    elif request.approver:
        stopped = request.status in (Status.REFUSED, Status.FAILED, Status.PARTLY)
        because = "" if stopped else f": {esc(request.because)}"
        lines.append(f"Approved by *{esc(view.name(request.approver))}*{because}")
    if request.status == Status.DENIED:
        lines.append(f"Denied by *{esc(view.name(request.closed_by))}*: {esc(request.because or NO_REASON, 900)}")
    if request.status == Status.CANCELLED and request.closed_by is None:
        lines.append(f"Closed because {esc(request.because, 900)}.")
    elif request.status == Status.CANCELLED:
        lines.append(f"Taken back by *{esc(view.name(request.closed_by))}*.")
    if request.status in (Status.REFUSED, Status.FAILED, Status.LAPSED, Status.PARTLY):
        lines.append(f"Because {esc(request.because, 900)}")
    given = () if is_by_hand(request) else view.given
    lines += [f"{mark(row.status)} {esc(Step.model_validate_json(row.body).words, 600)}" for row in given]
    if grant is not None and is_by_hand(request) and grant.status == GrantStatus.PROMISED and grant.ends_at:
        lines.append(f"Atlassian did not show it when it was entered. It is looked at again {when(grant.ends_at)}.")
    if grant is not None and grant.status == GrantStatus.ACTIVE:
        lines.append(f"Held until {when(grant.ends_at)}." if grant.ends_at else "Held until revoked.")
    if grant is not None and grant.status in (GrantStatus.ENDING, GrantStatus.ENDED):
        at = f" {when(grant.ended_at)}" if grant.ended_at else ""
        lines.append(f"{'Ended' if at else 'Ending'}{at}: {esc(grant.because)}")
    if view.put_off and request.status in OPEN:
        lines.append(f":lock: Put off: {esc(view.put_off, 900)}.")
    lines += drift_words(view.drifts)
    return [_section(*lines)] if lines else []


def drift_words(drifts: Sequence[Drift]) -> list[str]:
    """What Atlassian shows otherwise than the record, in a line for each way it can differ."""
    lines = []
    for (kind, state), words in DIFFERS.items():
        count = sum((drift.kind, drift.state) == (kind, state) for drift in drifts)
        if count:
            lines.append(f"{words}{f' This is so for {count:,} of them.' if len(drifts) > 1 else ''}")
    return lines


def figures(counts: dict[str, int]) -> str:
    """How far a list has come."""
    done, failed, left = (counts.get(state, 0) for state in ("done", "failed", "valid"))
    parts = [f"*{done:,}* of {counted(done + failed + left, 'row is', 'rows are')} done and read back"]
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{counted(left, 'is', 'are')} still to come"] if left else []
    return ", ".join(parts) + "."


def _who_answers(view: RequestView) -> list[str]:
    """How many answers are still needed, from whom, and why nobody can give them where that is so."""
    lines = [f"The question stays open until {when(view.request.lapses_at)}."]
    case = view.case
    if case is None:
        return lines
    tally, stages = case.tally, len(case.rule.stages)
    if case.rule.approvals > 1:
        step = f" in step {tally.stage + 1} of {stages}" if stages > 1 else ""
        lines.append(f"{tally.wanted} of {case.rule.stages[tally.stage].approvals} approvals are still needed{step}.")
    lines += [f":white_check_mark: *{esc(view.name(one.account))}* has approved it" for one in case.yes]
    for candidate in view.approvers:
        lines.append(f"• *{esc(view.name(candidate.account))}* may answer: {esc(candidate.because)}")
    unread = {s: why for s, why in case.facts.unknown.items() if s in case.rule.approver_sources}
    for source, why in unread.items():
        lines.append(f":warning: {esc(source.said)} can't be read, so its people can't answer now: {esc(why, 300)}")
    if not view.approvers and not unread:
        lines += [f":warning: Nobody is asked by this: {esc(why, 300)}" for why in case.approvers.missing]
    return lines


def mark(status: str) -> str:
    """The sign of a step: green means that a read confirmed it."""
    return {"true": ":white_check_mark:", "refused": ":x:", "rehearsed": ":performing_arts:"}.get(status, ":gear:")


def _buttons(view: RequestView) -> Block:
    """The answers."""
    looked_at = "…" if view.rule is not None and view.rule.tier != "low" else ""
    answers = [_button(view, "approve", f"Approve{looked_at}", style="primary")]
    if view.request.verb == "grant":
        answers.append(_button(view, "change", "Give less…"))
    return {
        "type": "actions",
        "block_id": "decide",
        "elements": [*answers, _button(view, "deny", "Deny…", style="danger")],
    }


def _manage(view: RequestView) -> Block:
    """What else can be done with it: slash commands don't work in threads, so the card carries them."""
    elements = [_button(view, "status", "Status")]
    if view.counts:
        elements.append(_button(view, "bulk_rows", "Rows…"))
    if view.request.status in (Status.ASKED, Status.PENDING, Status.SCHEDULED):
        elements.append(_button(view, "cancel", "Cancel the request"))
    if view.request.status == Status.PARTLY:
        elements += [_button(view, "continue", "Continue", style="primary"), _button(view, "leave", "Leave it so")]
    if view.grant is not None and view.grant.status == GrantStatus.ACTIVE and not view.grant.held_before:
        longer = [] if is_by_hand(view.request) else [_button(view, "extend", "Extend…")]
        elements += [*longer, _button(view, "end", "End now")]
    return {"type": "actions", "block_id": "manage", "elements": elements}


def _button(view: RequestView, action: str, text: str, *, style: str = "") -> Block:
    """A button carries an opaque id and the version that was shown, nothing else."""
    button = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": text},
        "value": f"{view.request.id}:{view.request.version}",
    }
    return button | ({"style": style} if style else {})


def _foot(view: RequestView) -> Block:
    request = view.request
    text = f"{request.id} · asked {when(request.asked_at)}"
    if request.version > 1:
        text += f" · plan {request.version}"
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _section(*lines: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}
