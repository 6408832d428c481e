"""The form of each verb: drawn, read and filled in one file; its plan is filled in by a job when Atlassian was read."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from approvals.policy import ORG_ADMIN, Entitlement, Policy, Rule, say_duration, write_duration
from handlers.durations import Duration, WrongDuration, read_duration
from handlers.moments import Moment, WrongMoment, read_moment
from handlers.text import esc, plain, within

REQUEST_FORM = "request_form"
# The fields. Block and action ids are these names in every form, so Slack keeps what stands in them when it is redrawn.
WHO, WHAT, LENGTH, REASON = "subject", "entitlement", "length", "reason"
MAIL, NAME, GIVEN, FAMILY, ALSO = "mail", "name", "given", "family", "also"
WHEN, KEEP, SITE = "when", "keep_tokens", "by_site"
VERB = "verb"  # at the top of a form that was opened without one
FIELDS: dict[str, tuple[str, ...]] = {
    "grant": (WHO, WHAT, LENGTH, REASON),
    "revoke": (WHO, WHAT, REASON),
    "deactivate": (WHO, REASON),
    "reactivate": (WHO, KEEP, REASON),
    "offboard": (WHO, WHEN, REASON),
    "suspend": (WHO, REASON),
    "restore": (WHO, REASON),
    "tokens": (WHO, REASON),
    "email": (WHO, MAIL, REASON),
    "provision": (MAIL, NAME, GIVEN, FAMILY, ALSO, SITE, REASON),
    "extend": (LENGTH, REASON),
}
TITLES = {  # 24 characters at most
    "grant": "Request access",
    "revoke": "Take access away",
    "deactivate": "Deactivate an account",
    "reactivate": "Reactivate an account",
    "offboard": "Offboard somebody",
    "suspend": "Suspend an account",
    "restore": "Restore an account",
    "tokens": "Delete API tokens",
    "email": "Change an address",
    "provision": "Make an account",
    "extend": "Hold it longer",
}
WHAT_IT_DOES = {
    "deactivate": "The account is deactivated and its API tokens are deleted.",
    "reactivate": "The account is let in again. API tokens that would live again are deleted unless you keep them.",
    "offboard": "Everything they hold through Gatehouse ends, what is open about them is cancelled, and the account is "
    "deactivated with its API tokens deleted.",
    "suspend": "All access of the account stops until it is restored.",
    "restore": "A suspended account has its access again.",
    "tokens": "All API tokens of the account are deleted; whatever runs with one of them stops.",
    "email": "The account gets another e-mail address.",
    "provision": "Somebody new gets an account, and what you choose is asked for once it is there.",
}
CHOOSE = {
    "grant": "Choose what you need, and the plan appears here.",
    "revoke": "Choose from whom and what, and the plan appears here.",
    "email": "Choose the person, press Enter after the new address, and the plan appears here.",
    "provision": "Press Enter after the address, and the plan appears here.",
}
EXAMPLE = "Friday 18:00"
TYPE_A_LENGTH = "Type 2h, 1 day, until Friday 18:00, or until revoked."
TYPE_A_TIME = "Type it like Friday 18:00, tomorrow 9am or 2026-12-24 18:00."
LONGEST_REASON = 1000  # characters; Slack's inputs take 3000
LONGEST_MAIL, LONGEST_NAME = 254, 100
MOST_ALSO = 10  # entitlements of a newcomer
METADATA = 3000  # characters that a form can carry
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
    verb: str = "grant"
    mail: str = ""  # the new address, or a newcomer's
    name: str = ""
    given: str = ""
    family: str = ""
    also: tuple[str, ...] = ()
    when: str = ""
    keep_tokens: bool = False
    by_site: bool = False
    request: str = ""  # what is to be held longer
    menu: tuple[str, ...] = ()  # the verbs to choose from, where none was said

    def as_text(self) -> str:
        """For the form's ``private_metadata``, which holds 3000 characters; what is empty is left out."""
        said = {key: value for key, value in asdict(self).items() if value}
        said["home"] = asdict(self.home)
        return json.dumps(said | {"subject_name": plain(self.subject_name, SHOWN)}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "Filled":
        data = json.loads(text)
        return cls(
            **{
                **data,
                "home": Home(**data["home"]),
                "also": tuple(data.get("also", ())),
                "menu": tuple(data.get("menu", ())),
            }
        )

    @property
    def fields(self) -> tuple[str, ...]:
        return FIELDS[self.verb]

    @property
    def fits(self) -> bool:
        """Whether a form can be opened with all of it, and nothing would be cut off."""
        bounds = ((self.reason, LONGEST_REASON), (self.mail, LONGEST_MAIL), (self.name, LONGEST_NAME))
        within_bounds = all(len(text) <= longest for text, longest in bounds) and len(self.also) <= MOST_ALSO
        return within_bounds and len(self.as_text()) <= METADATA

    @property
    def is_enough(self) -> bool:
        """Whether a plan can be made of it."""
        needed = {WHO: self.subject, WHAT: self.entitlement, MAIL: self.mail}
        return all(needed.get(field, "-") for field in self.fields)


@dataclass(frozen=True)
class Shown:
    """A form in front of somebody: what it was opened with, and what stands in it now."""

    opened: Filled
    now: Filled
    opening: bool = False  # it may not be there yet

    def as_text(self) -> str:
        return json.dumps([self.opened.as_text(), self.now.as_text(), self.opening])

    @classmethod
    def from_text(cls, text: str) -> "Shown":
        opened, now, opening = json.loads(text)
        return cls(Filled.from_text(opened), Filled.from_text(now), opening)


# -- drawing ------------------------------------------------------------------------------------------------------


class Unreadable(Exception):
    """What was typed as a time or a length of time is none; the text says what to type."""


def draw_form(opened_with: Filled, preview: list[str], external_id: str = "") -> View:
    """The form as it was opened, with what is known of the plan now; an empty line begins another paragraph.

    Slack keeps what people typed through an update as long as block and action ids and initial values stay
    (https://docs.slack.dev/surfaces/modals/), so the form is always drawn from what it was opened with.
    """
    return {
        "type": "modal",
        "callback_id": REQUEST_FORM,
        **({"external_id": external_id} if external_id else {}),
        "private_metadata": opened_with.as_text(),
        "title": _plain(TITLES[opened_with.verb]),
        "submit": _plain("Ask"),
        "close": _plain("Cancel"),
        "blocks": [
            *([_verb(opened_with)] if opened_with.menu else []),
            *(_DRAWN[field](opened_with) for field in opened_with.fields),
            {"type": "divider"},
            *_paragraphs(preview),
        ],
    }


def _paragraphs(lines: list[str]) -> list[View]:
    """Each is a section of its own, so that there is some air between them."""
    parts = [[line for line in part.split("\n") if line.strip()] for part in "\n".join(lines).split("\n\n")]
    return [
        {"type": "section", "block_id": f"preview_{at}", "text": {"type": "mrkdwn", "text": within(part, 2900)}}
        for at, part in enumerate(filter(None, parts))
    ]


_WHOM = {"grant": "Who is it for?", "revoke": "From whom?", "email": "Whose address?", "offboard": "Who leaves?"}
_WHY = {
    "grant": "What for? Whoever answers reads it.",
    "extend": "What for? Whoever answers reads it.",
    "provision": "What for? Whoever answers reads it.",
}
_LENGTH = {"extend": ("For how much longer?", "1h, until Friday 18:00")}


def _verb(filled: Filled) -> View:
    """Choosing another verb makes another form of it; what has the same name in both stays."""
    element = {
        "type": "static_select",
        "action_id": VERB,
        "initial_option": option(filled.verb, TITLES[filled.verb]),
        "options": [option(verb, TITLES[verb]) for verb in filled.menu],
    }
    label = _plain("What do you want to do?")
    return {"type": "input", "block_id": VERB, "label": label, "dispatch_action": True, "element": element}


def _who(filled: Filled) -> View:
    label = _WHOM.get(filled.verb, "Whose account?")
    chosen = option(filled.subject, filled.subject_name or filled.subject) if filled.subject else None
    return _select(WHO, label, "Type a name or an address", chosen)


def _what(filled: Filled) -> View:
    chosen = option(filled.entitlement, filled.entitlement) if filled.entitlement else None
    return _select(WHAT, "What?", "Type a part of its name", chosen)


def _also(filled: Filled) -> View:
    chosen = [option(name, name) for name in filled.also]
    block = _select(ALSO, "What are they to have?", "Type a part of its name", chosen or None, several=True)
    block["element"]["max_selected_items"] = MOST_ALSO
    return block | {"optional": True, "hint": _plain("Each is asked for by itself once there is an account.")}


def _length(filled: Filled) -> View:
    label, example = _LENGTH.get(filled.verb, ("For how long?", "2h, until Friday 18:00, until revoked"))
    return _input(LENGTH, label, example, filled.length)


def _reason(filled: Filled) -> View:
    label = _WHY.get(filled.verb, "Why? Whoever answers reads it.")
    return _input(REASON, label, "INC-42: …", filled.reason, longest=LONGEST_REASON, multiline=True)


def _mail(filled: Filled) -> View:
    label = "The new address" if filled.verb == "email" else "Their e-mail address"
    element: dict[str, Any] = {
        "type": "email_text_input",
        "action_id": MAIL,
        "placeholder": _plain("ada@example.com"),
        "dispatch_action_config": {"trigger_actions_on": ["on_enter_pressed"]},
    }
    if filled.mail:
        element["initial_value"] = filled.mail
    return {"type": "input", "block_id": MAIL, "label": _plain(label), "dispatch_action": True, "element": element}


def _name(filled: Filled) -> View:
    return _input(NAME, "Their name, as others see it", "Ada Ferreira", filled.name, longest=LONGEST_NAME)


def _given(filled: Filled) -> View:
    block = _input(GIVEN, "Given name", "Ada", filled.given, longest=LONGEST_NAME)
    return block | {"optional": True, "hint": _plain("Left empty, it is taken from the name; the family name as well.")}


def _family(filled: Filled) -> View:
    return _input(FAMILY, "Family name", "Ferreira", filled.family, longest=LONGEST_NAME) | {"optional": True}


def _when(filled: Filled) -> View:
    block = _input(WHEN, "When?", EXAMPLE, filled.when)
    return block | {"optional": True, "hint": _plain("In your own time zone. Left empty: as soon as it is approved.")}


def _keep(filled: Filled) -> View:
    return _tick(KEEP, "API tokens", "Keep the API tokens", filled.keep_tokens)


def _site(filled: Filled) -> View:
    return _tick(SITE, "Where", "Make it at the Jira site (legacy)", filled.by_site)


_DRAWN: dict[str, Callable[[Filled], View]] = {
    WHO: _who, WHAT: _what, LENGTH: _length, REASON: _reason, MAIL: _mail, NAME: _name, GIVEN: _given,
    FAMILY: _family, ALSO: _also, WHEN: _when, KEEP: _keep, SITE: _site,
}  # fmt: skip


# -- reading ------------------------------------------------------------------------------------------------------


def read_form(view: View) -> Filled:
    """What was filled in, over what the form was opened with; its verb is the one that was chosen last."""
    values = view.get("state", {}).get("values", {})
    opened_with = Filled.from_text(view["private_metadata"])
    read: dict[str, Any] = {}
    for field in opened_with.fields:
        read |= _READ[field](field, values.get(field, {}).get(field, {}))
    verb = (values.get(VERB, {}).get(VERB, {}).get("selected_option") or {}).get("value")
    return replace(opened_with, **read, verb=verb if verb in opened_with.menu else opened_with.verb)


def _read_text(field: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {field: (answer.get("value") or "").strip()}


def _read_who(field: str, answer: dict[str, Any]) -> dict[str, Any]:
    who = answer.get("selected_option")
    return {"subject": who["value"] if who else "", "subject_name": who["text"]["text"] if who else ""}


def _read_what(field: str, answer: dict[str, Any]) -> dict[str, Any]:
    what = answer.get("selected_option")
    return {field: what["value"] if what else ""}


def _read_several(field: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {field: tuple(chosen["value"] for chosen in answer.get("selected_options") or ())}


def _read_tick(field: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {field: bool(answer.get("selected_options"))}


_READ: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys((LENGTH, REASON, MAIL, NAME, GIVEN, FAMILY, WHEN), _read_text),
    WHO: _read_who, WHAT: _read_what, ALSO: _read_several, KEEP: _read_tick, SITE: _read_tick,
}  # fmt: skip


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


def read_when(text: str) -> Moment:
    """The moment that was typed. Raises ``Unreadable`` with what to type."""
    words = text.casefold().removeprefix("on ").split()
    try:
        found = read_moment(words, expected=True)
    except WrongMoment as wrong:
        raise Unreadable(f"{wrong} {TYPE_A_TIME}") from None
    if found is None or found[1] != len(words):
        raise Unreadable(f"I can't read that as a time. {TYPE_A_TIME}")
    return found[0]


# -- what the policy says -----------------------------------------------------------------------------------------


def hints(policy: Policy, filled: Filled) -> list[str]:
    """What is known before Atlassian was read: what the verb does, and what the policy says of what was chosen."""
    does = WHAT_IT_DOES.get(filled.verb)
    if does is not None:
        return [does, *([] if filled.is_enough else [choose(filled)])]
    if filled.verb == "revoke" and filled.entitlement.casefold() == ORG_ADMIN:
        return ["They stop being an organization admin; then their account is an ordinary one."]
    entitlement = policy.entitlement(filled.entitlement)
    if entitlement is None:
        return [choose(filled)]
    about = f"*{esc(entitlement.name)}*: {esc(entitlement.about)}"
    if filled.verb == "revoke":
        return [about, "It is taken away at once, whoever gave it."]
    most = "until revoked" if entitlement.longest is None else f"at most {say_duration(entitlement.longest)}"
    return [about, f"May be held {most}."]


def choose(filled: Filled) -> str:
    """What to do so that a plan can be shown."""
    return CHOOSE.get(filled.verb, "Choose the person, and the plan appears here.")


_PEOPLE = {1: "One person", 2: "Two people", 3: "Three people", 4: "Four people", 5: "Five people"}
_LOOKS = {"medium": ", after a look at the plan", "high": ", each typing the name of the person it is about"}


def decided(rule: Rule) -> str:
    """How many must say yes, how carefully, and for how long it waits then."""
    each = [_PEOPLE.get(stage.approvals, f"{stage.approvals} people") for stage in rule.stages]
    who = ", then ".join([each[0], *(number.lower() for number in each[1:])])
    apart = " by different ways" if any(stage.different_groups for stage in rule.stages) else ""
    looks = _LOOKS.get(rule.tier, "")
    if rule.approvals == 1:
        looks = looks.replace("each typing", "typing")
    waits = f"; then it waits {say_duration(rule.pause)}, in which it can be stopped" if rule.pause else ""
    return f"{who} must approve{apart}{looks}{waits}."


def usual_length(policy: Policy, entitlement: str) -> str:
    """What the length is filled in with: two hours, or less where the rule wants less."""
    found = policy.entitlement(entitlement)
    longest = found.longest if isinstance(found, Entitlement) else None
    return write_duration(min(longest, timedelta(hours=2)) if longest else timedelta(hours=2))


def written_down(request_id: str, *, verb: str = "grant", joined: bool = False, then: str = "") -> View:
    """What the form becomes when it was sent."""
    text = (
        f":link: You have asked for that already: {request_id} still waits for an answer. `/access mine` lists it."
        if joined
        else f":hourglass_flowing_sand: {request_id} is written down. I'm reading Atlassian; then whoever must answer "
        f"is asked, and you hear the result.{then}"
    )
    return {
        "type": "modal",
        "title": _plain(TITLES[verb]),
        "close": _plain("Close"),
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}],
    }


# -- elements -----------------------------------------------------------------------------------------------------


def option(value: str, text: str) -> dict[str, Any]:
    """One choice of a list."""
    return {"text": _plain(plain(text, SHOWN).strip() or plain(value, SHOWN)), "value": value}


def _select(name: str, label: str, hint: str, chosen: Any, *, several: bool = False) -> View:
    element: dict[str, Any] = {
        "type": "multi_external_select" if several else "external_select",
        "action_id": name,
        "min_query_length": 0,
        "placeholder": _plain(hint),
    }
    if chosen:
        element["initial_options" if several else "initial_option"] = chosen
    return {"type": "input", "block_id": name, "label": _plain(label), "dispatch_action": True, "element": element}


def _input(name: str, label: str, hint: str, value: str, *, longest: int = 60, multiline: bool = False) -> View:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": name,
        "placeholder": _plain(hint),
        "multiline": multiline,
        "max_length": longest,
    }
    if value:
        element["initial_value"] = value
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element}


def _tick(name: str, label: str, words: str, ticked: bool) -> View:
    """One box; it is never needed, so the form can be sent without it."""
    choice = {"text": _plain(words), "value": "yes"}
    element: dict[str, Any] = {"type": "checkboxes", "action_id": name, "options": [choice]}
    if ticked:
        element["initial_options"] = [choice]
    block: View = {"type": "input", "block_id": name, "label": _plain(label), "element": element}
    return block | {"dispatch_action": True, "optional": True}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
