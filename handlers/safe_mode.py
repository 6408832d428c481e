"""/access safe-mode: who holds what and the record can't say why, in a window where an admin settles each of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from approvals import people, safe_mode
from approvals.crash import crash_point
from approvals.durations import say_duration
from approvals.models import EventRead, Person, Preview, SafeMode, Stray
from approvals.policy import Person as Speaker
from approvals.policy import Policy
from approvals.safe_mode import KNOWN, LEFT, NOW, REVOKED
from approvals.store import Actor
from approvals.workflow import Refused
from handlers.clicks import clicker
from handlers.desk import Desk, Said
from handlers.grant import FORM_IS_OPEN
from handlers.text import esc, plain, sentence, when, within

DECIDE, ALL_KNOWN, ALL_LEFT = "safe_decide", "safe_known", "safe_left"
AGAIN, LEAVE, NEXT, PREVIOUS = "safe_again", "safe_leave", "safe_next", "safe_previous"
VIEW = "safe_mode"
PAGE = 8  # people: of each two blocks, and a modal has 100
EVENTS = 8
IS_OFF = ":white_check_mark: Safe mode is not on. Each start compares the record with what was said outside."
LENGTHS = (timedelta(hours=1), timedelta(hours=8))
MARKS = {"outside": ":key:", "event": ":page_facing_up:", "none": ":grey_question:"}
Block = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """What the window shows: one page of those who wait, and what is known around them."""

    mode: SafeMode
    number: int
    rows: Sequence[Stray]
    waiting: int
    settled: Mapping[str, int]
    known: int  # of those who wait: how many have a known end
    unknown: Mapping[str, int]  # by entitlement, of how many nothing is known
    events: Sequence[EventRead]
    why_not_leave: str
    names: Mapping[str, str]
    mails: Mapping[str, str]
    said: str = ""  # why the last click did nothing


def show(desk: Desk, speaker: Speaker, said: Said) -> str:
    """Opens the window, from the record alone; for admins whose answers count."""
    with desk.store.read() as session:
        now = desk.store.time_in(session)
        because = desk.safe.why_not(session, speaker, now)
        mode = safe_mode.current(session)
        view = None if because or mode is None else page_for(desk, session, mode, 0, f"safe:{said.source[:60]}")
    if because:
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
        return because
    if view is None:
        return IS_OFF
    crash_point("safe mode: before opening")
    opened = desk.open_view(said.trigger, view)
    crash_point("safe mode: opened")
    return FORM_IS_OPEN if opened else "Slack did not open the window for it. Please type it again."


def page_for(
    desk: Desk, session: Session, mode: SafeMode, number: int, external: str, said: str = ""
) -> dict[str, object]:  # fmt: skip
    """A page as the record has it; one that is empty by now is the last that is not."""
    rows, waiting = safe_mode.page_of(session, mode, number, PAGE)
    if not rows and number:
        number = max(0, (waiting - 1) // PAGE)
        rows, waiting = safe_mode.page_of(session, mode, number, PAGE)
    accounts = {row.account for row in rows}
    mails = session.exec(select(Person.account, Person.mail).where(col(Person.account).in_(accounts))).all()
    still = (Stray.safe_mode_id == mode.id, Stray.state == "open")
    known = select(func.count()).select_from(Stray).where(*still, col(Stray.ends_at).is_not(None))
    unknown = select(Stray.entitlement, func.count()).where(*still, Stray.evidence == "none")
    window = Window(
        mode, number, rows, waiting, safe_mode.counted(session, mode), session.exec(known).one(),
        dict(session.exec(unknown.group_by(Stray.entitlement)).all()), safe_mode.own_events(session, mode),
        safe_mode.why_not_leave(session, mode), people.names(session, accounts), dict(mails), said,
    )  # fmt: skip
    return draw_window(window, desk.policy(session), desk.store.time_in(session), external)


# -- drawing ----------------------------------------------------------------------------------------------------------


def draw_window(window: Window, policy: Policy, now: datetime, external: str) -> dict[str, object]:
    mode = window.mode
    lines = [f":lock: *Safe mode* since {when(mode.at)}: {esc(mode.why, 800)}."]
    lines.append("Nothing is given until each of these is settled and safe mode is left. What ends still ends.")
    lines += [f":warning: {esc(window.said, 500)}"] if window.said else []
    blocks = [_section(*lines), _section(*_figures(window))]
    for row in window.rows:
        blocks += _stray(window, row, policy, now)
    blocks += _many(window) + _events(window.events) + _foot(window)
    return {
        "type": "modal",
        "callback_id": VIEW,
        "external_id": external,
        "private_metadata": str(window.number),
        "title": _plain("Safe mode"),
        "close": _plain("Close"),
        "blocks": blocks,
    }


def _figures(window: Window) -> list[str]:
    settled = ", ".join(f"{count:,} {state}" for state, count in sorted(window.settled.items())
                        if state not in ("open", "deciding"))  # fmt: skip
    lines = [f"*{window.waiting:,}* hold something and the record can't say why." + (f" {settled}." if settled else "")]
    if window.mode.read_at is None:
        lines.append(":hourglass_flowing_sand: Atlassian is being read; more may come. *Read again* shows it.")
    lines += [f":warning: Who holds `{esc(name)}` could not be read: {esc(why, 300)}"
              for name, why in safe_mode.unread(window.mode)[:5]]  # fmt: skip
    return lines


def _stray(window: Window, row: Stray, policy: Policy, now: datetime) -> list[Block]:
    name, mail = window.names.get(row.account, row.account), window.mails.get(row.account, "")
    lines = [f"{MARKS[row.evidence]} *{esc(name)}* {esc(mail)} `{esc(row.account)}` holds `{esc(row.entitlement)}`"]
    lines.append(_because(row))
    lines += [f":warning: {esc(row.trouble, 400)}"] if row.trouble else []
    block = _section(*lines)
    if row.state == "deciding":
        return [block, _context("It is being done.")]
    options = [_option(f"{row.id}:{choice}", words) for choice, words in choices(row, policy, now)]
    placeholder = _plain("What is it?")
    select_ = {"type": "static_select", "action_id": DECIDE, "placeholder": placeholder, "options": options}
    return [block | {"block_id": f"stray {row.id}", "accessory": select_}]


def _because(row: Stray) -> str:
    """What is known of how they came by it."""
    event = f" Atlassian's audit log has the event `{esc(row.event)}`." if row.event else ""
    if row.evidence == "outside":
        end = f"until {when(row.ends_at)}" if row.ends_at else "until revoked"
        return f"Gatehouse gave it because of {esc(row.request)}, {end}: so it was said outside.{event}"
    if row.evidence == "event":
        return f"Gatehouse gave it in the time that was lost; until when is not known.{event}"
    return "Nothing says that Gatehouse gave it: perhaps it was held before."


def choices(row: Stray, policy: Policy, now: datetime) -> list[tuple[str, str]]:
    """What may be answered, the likeliest first: the known end is what is proposed."""
    entitlement = policy.entitlement(row.entitlement)
    longest = entitlement.longest if entitlement is not None else timedelta(0)
    found: list[tuple[str, str]] = []
    if row.ends_at is not None and row.ends_at > now:
        found.append((KNOWN, f"Adopt until its known end, {row.ends_at:%Y-%m-%d %H:%M} UTC"))
    elif row.ends_at is not None:
        found.append((NOW, f"End it now: it was over {row.ends_at:%Y-%m-%d %H:%M} UTC"))
    elif row.evidence == "outside" and longest is None:
        found.append((REVOKED, "Adopt until revoked, as it was given"))
    elif row.evidence == "none":
        found.append((LEFT, "Leave it: it was held before"))
    lengths = sorted({*LENGTHS, *([longest] if longest else [])})
    found += [
        (f"for:{int(length.total_seconds())}", f"Adopt for {say_duration(length)} from now on")
        for length in lengths
        if longest is None or length <= longest
    ]
    if longest is None and (REVOKED, "Adopt until revoked, as it was given") not in found:
        found.append((REVOKED, "Adopt until revoked"))
    named = {choice for choice, _ in found}
    rest = ((NOW, "End it now"), (LEFT, "Leave it: it was held before"))
    return found + [(choice, words) for choice, words in rest if choice not in named]


def _many(window: Window) -> list[Block]:
    """Where many are alike, one click settles them; an action's id may be there once in a row."""
    buttons = []
    if window.known > 1:
        text = f"Adopt all {window.known:,} with a known end"
        buttons.append(_button(ALL_KNOWN, text, "known", "Each ends when it was promised to end; what is over, now."))
    for name, count in sorted(window.unknown.items())[:4]:
        text = f"Leave {count:,} of {name} as before"
        buttons.append(_button(ALL_LEFT, text, name, f"Nothing is known of these {count:,}. They keep it without end."))
    return [{"type": "actions", "block_id": f"safe many {n}", "elements": [one]} for n, one in enumerate(buttons)]


def _events(events: Sequence[EventRead]) -> list[Block]:
    if not events:
        return []
    lines = ["*What Gatehouse's keys did in Atlassian in the time that was lost*"]
    lines += [f"• {when(event.at)} {esc(event.says, 200)} (`{esc(event.id)}`)" for event in events[-EVENTS:]]
    lines += [f"… and {len(events) - EVENTS:,} before these"] if len(events) > EVENTS else []
    return [_section(*lines)]


def _foot(window: Window) -> list[Block]:
    turns = [(PREVIOUS, "Previous", window.number - 1)] if window.number else []
    turns += [(NEXT, "Next", window.number + 1)] if (window.number + 1) * PAGE < window.waiting else []
    elements = [_button(action, text, str(page)) for action, text, page in turns]
    elements.append(_button(AGAIN, "Read again", str(window.number)))
    if not window.why_not_leave:
        elements.append(_button(LEAVE, "Leave safe mode", "leave", "Gatehouse gives again from then on.", "primary"))
    blocks: list[Block] = [{"type": "actions", "block_id": "safe foot", "elements": elements}]
    return blocks + (
        [_context(f"It can't be left yet: {esc(window.why_not_leave, 400)}.")] * bool(window.why_not_leave)
    )


def _button(action: str, text: str, value: str, confirm: str = "", style: str = "") -> Block:
    button: Block = {"type": "button", "action_id": action, "text": _plain(text), "value": value}
    if confirm:
        button["confirm"] = {"title": _plain("Are you sure?"), "text": _plain(confirm, 300),
                             "confirm": _plain("Yes"), "deny": _plain("No")}  # fmt: skip
    return button | ({"style": style} if style else {})


def _option(value: str, text: str) -> Block:
    return {"text": _plain(text), "value": value}


def _section(*lines: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _plain(text: str, longest: int = 75) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, longest)}


# -- clicks -----------------------------------------------------------------------------------------------------------


def decide(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """One of them was answered."""
    option = (body["actions"][0].get("selected_option") or {}).get("value", "")
    stray, _, choice = str(option).partition(":")
    _act(body, desk, source, lambda who: desk.safe.decide(who, int(stray) if stray.isdigit() else 0, choice, source))
    ack()


def all_known(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    _act(body, desk, source, lambda who: desk.safe.decide_many(who, KNOWN, "", source))
    ack()


def all_left(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    entitlement = str(body["actions"][0].get("value", ""))
    _act(body, desk, source, lambda who: desk.safe.decide_many(who, LEFT, entitlement, source))
    ack()


def read_again(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    _act(body, desk, source, lambda who: desk.safe.read_again(who, source))
    ack()


def leave(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    _act(body, desk, source, lambda who: desk.safe.leave(who, source))
    ack()


def turn(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Next or Previous."""
    _draw_again(desk, body, str(body["actions"][0].get("value", "")), "")
    ack()


def _act(body: dict[str, Any], desk: Desk, source: str, do: Any) -> None:
    """What was clicked is written down; a job draws the window anew, with why nothing came of it where that is so."""
    speaker = clicker(desk, body, source)
    if speaker is None:
        return
    said = ""
    try:
        do(speaker)
    except Refused as refused:
        said = sentence(str(refused))
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), said, f"{source} refused")
    _draw_again(desk, body, str(body["view"].get("private_metadata", "")), said)


def _draw_again(desk: Desk, body: dict[str, Any], number: str, said: str) -> None:
    view = body["view"]
    with desk.store.write() as w:
        w.session.merge(
            Preview(
                id=view["external_id"], hash="", team=body["team"]["id"], user=body["user"]["id"], subject="",
                entitlement="", form=f"{number}:{said}", at=w.now,
            )
        )  # fmt: skip
        w.enqueue("safe page", view["external_id"])
