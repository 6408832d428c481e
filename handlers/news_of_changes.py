"""What is said when something other than a grant was done: each step with Atlassian's answer, the proof, the rest."""

from typing import Any

from approvals.models import StepRow
from approvals.plan import Step
from handlers.cards import mark
from handlers.news_parts import asker, at_time, object_of
from handlers.text import esc, when
from handlers.view import RequestView


def changed(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    lines = [f":large_green_circle: {asker(view)}, {object_of(view)} is done."]
    lines += [_taken_step(view, row) for row in view.given] or ["Nothing was left to do: it was so already."]
    if view.request.verb == "offboard":
        lines += _proof_of_leaving(facts, view)
    lines.append(f"<{audit_log}|Atlassian's audit log>")
    return "\n".join(lines)


def partly(facts: dict[str, Any], view: RequestView | None, audit_log: str) -> str:
    assert view is not None
    lines = [f":warning: {asker(view)}, {object_of(view)} is done in part only: {esc(facts['because'], 1500)}"]
    lines += [_taken_step(view, row) for row in view.given]
    lines.append("*Continue* on the card tries the rest again; *Leave it so* closes it.")
    lines.append(f"<{audit_log}|Atlassian's audit log>")
    return "\n".join(lines)


def _taken_step(view: RequestView, row: StepRow) -> str:
    """A step with what Atlassian answered, and when it was read back."""
    answer = view.answers.get(row.id or 0)
    said = f" · Atlassian said {esc(answer, 200)}" if answer else ""
    at = f" · read back {when(row.true_at)}" if row.true_at else ""
    return f"{mark(row.status)} {esc(Step.model_validate_json(row.body).words, 600)}{said}{at}"


def _ended_with_it(name: str, request: str, at: float, kept: str) -> str:
    left = f"; {esc(kept, 200)}" if kept else ""
    return f":white_check_mark: `{esc(name)}` ended {at_time(at)} ({esc(request)}){left}"


def _proof_of_leaving(facts: dict[str, Any], view: RequestView) -> list[str]:
    """What else ended with an account: grants, open requests; and what lives on."""
    lines = [_ended_with_it(*grant) for grant in facts["ended"]]
    lines += [f":white_check_mark: {esc(request)} was closed {at_time(at)}" for request, at in facts["cancelled"]]
    if not any(Step.model_validate_json(row.body).does == "deactivate" for row in view.given):
        name = esc(view.subject_name)
        lines.append(
            f":warning: {name} is not managed by the organization: suspended here, the Atlassian account lives on."
        )
    return lines


def left(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    assert view is not None
    by = esc(view.name(facts["by"]))
    return f":warning: {object_of(view)} stays as it is, done in part: *{by}* does not go on with it."


def welcomed(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    """Who it is now, what it opens, and what was asked for in their name."""
    assert view is not None
    if not facts["account"]:
        first = f":warning: Atlassian still shows no account for {esc(view.subject_mail)}."
    else:
        products = ", ".join(map(esc, facts["products"])) or "no product yet"
        first = f":wave: {esc(view.subject_name)} is here: `{esc(facts['account'])}` can use {products}."
    lines = [f":hourglass_flowing_sand: {esc(id)} asks for `{esc(name)}`" for id, name in facts["wishes"]]
    lines += [f":no_entry: {esc(why, 500)}" for why in facts["refused"]]
    return "\n".join([first, *lines])
