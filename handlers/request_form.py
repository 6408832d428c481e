"""The request form: drawn, read and filled in one file; its plan is filled in by a job when Atlassian was read."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from approvals.policy import Policy, say_duration, write_duration
from handlers.durations import Duration, WrongDuration, read_duration
from handlers.moments import Moment, WrongMoment, read_moment
from handlers.text import esc, plain, within

REQUEST_FORM = "request_form"
WHO, WHAT, LENGTH, REASON = "subject", "entitlement", "length", "reason"
LONGEST_REASON = 1000  # characters; Slack's inputs take 3000
TYPE_A_LENGTH = "Type 2h, 1 day, until Friday 18:00, or until revoked."
SHOWN = 75  # characters of an option; Slack's sources disagree on 75 or 150
View = dict[str, Any]


@dataclass(frozen=True)
class Home:
    """The thread a request was asked in, when its card is to stand there."""

    channel: str = ""
    thread: str = ""


@dataclass(frozen=True)
class Filled:
    """What stands in the form: an account and an entitlement by name, the rest as typed."""

    subject: str = ""
    subject_name: str = ""
    entitlement: str = ""
    length: str = ""
    reason: str = ""
    home: Home = Home()

    def as_text(self) -> str:
        """For the form's ``private_metadata``, which holds 3000 characters: the rest of it is bounded already."""
        return json.dumps(asdict(self) | {"subject_name": plain(self.subject_name, SHOWN)}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "Filled":
        data = json.loads(text)
        return cls(**{**data, "home": Home(**data["home"])})


class Unreadable(Exception):
    """What was typed as a length of time is none; the text says what to type."""


def draw_form(opened_with: Filled, preview: list[str]) -> View:
    """The form as it was opened, with what is known of the plan now.

    Slack keeps what people typed through an update as long as block and action ids and initial values stay
    (https://docs.slack.dev/surfaces/modals/), so the form is always drawn from what it was opened with.
    """
    return {
        "type": "modal",
        "callback_id": REQUEST_FORM,
        "private_metadata": opened_with.as_text(),
        "title": _plain("Request access"),
        "submit": _plain("Ask"),
        "close": _plain("Cancel"),
        "blocks": [
            _select(WHO, "Who is it for?", "Type a name or an address", opened_with.subject, opened_with.subject_name),
            _select(WHAT, "What?", "Type a part of its name", opened_with.entitlement, opened_with.entitlement),
            _input(LENGTH, "For how long?", "2h, 1 day, until Friday 18:00, until revoked", opened_with.length),
            _input(REASON, "What for? Whoever answers reads it.", "INC-42: …", opened_with.reason, multiline=True),
            {"type": "divider"},
            {"type": "section", "block_id": "preview", "text": {"type": "mrkdwn", "text": within(preview, 2900)}},
        ],
    }


def read_form(view: View) -> Filled:
    """What was filled in, over what the form was opened with."""
    values = view.get("state", {}).get("values", {})
    opened_with = Filled.from_text(view["private_metadata"])
    who = values.get(WHO, {}).get(WHO, {}).get("selected_option")
    what = values.get(WHAT, {}).get(WHAT, {}).get("selected_option")
    return replace(
        opened_with,
        subject=who["value"] if who else "",
        subject_name=who["text"]["text"] if who else "",
        entitlement=what["value"] if what else "",
        length=(values.get(LENGTH, {}).get(LENGTH, {}).get("value") or "").strip(),
        reason=(values.get(REASON, {}).get(REASON, {}).get("value") or "").strip(),
    )


def read_length(text: str) -> Duration | Moment:
    """The length of time that was typed, or the moment it lasts until. Raises ``Unreadable`` with what to type."""
    words = text.casefold().removeprefix("for ").split()
    until = words[:1] in (["until"], ["till"], ["by"]) and words[1:2] != ["revoked"]
    try:
        moment = read_moment(words[1:] if until else words, expected=until)
        found = moment or read_duration(words, expected=True)
    except WrongMoment as wrong:
        raise Unreadable(f"{wrong} {TYPE_A_LENGTH}") from None
    except WrongDuration as wrong:
        raise Unreadable(str(wrong)) from None
    if found is None or found[1] != len(words) - until:
        raise Unreadable(f"I can't read that as a length of time. {TYPE_A_LENGTH}")
    return found[0]


def hints(policy: Policy, filled: Filled) -> list[str]:
    """What the policy says of the entitlement that was chosen, before Atlassian was read."""
    entitlement = policy.entitlement(filled.entitlement)
    if entitlement is None:
        return ["Choose what you need, and the plan appears here."]
    most = "until revoked" if entitlement.longest is None else f"at most {say_duration(entitlement.longest)}"
    return [f"*{esc(entitlement.name)}*: {esc(entitlement.about)}", f"May be held {most}."]


def usual_length(policy: Policy, entitlement: str) -> str:
    """What the length is filled in with: two hours, or less where the rule wants less."""
    found = policy.entitlement(entitlement)
    longest = found.longest if found else None
    return write_duration(min(longest, timedelta(hours=2)) if longest else timedelta(hours=2))


def written_down(request_id: str) -> View:
    """What the form becomes when it was sent."""
    text = (
        f":hourglass_flowing_sand: {request_id} is written down. I'm reading Atlassian; then whoever must answer is "
        "asked, and you hear the result."
    )
    return {
        "type": "modal",
        "title": _plain("Request access"),
        "close": _plain("Close"),
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    }


def option(value: str, text: str) -> dict[str, Any]:
    """One choice of a list."""
    return {"text": _plain(plain(text, SHOWN).strip() or plain(value, SHOWN)), "value": value}


def _select(name: str, label: str, hint: str, value: str, text: str) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "external_select",
        "action_id": name,
        "min_query_length": 0,
        "placeholder": _plain(hint),
    }
    if value:
        element["initial_option"] = option(value, text or value)
    return {"type": "input", "block_id": name, "label": _plain(label), "dispatch_action": True, "element": element}


def _input(name: str, label: str, hint: str, value: str, *, multiline: bool = False) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": name,
        "placeholder": _plain(hint),
        "multiline": multiline,
        "max_length": LONGEST_REASON if multiline else 60,
    }
    if value:
        element["initial_value"] = value
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
