"""Lists: the form that takes a file, the rows page by page, and the question whether a list from a shell is theirs."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from approvals import people
from approvals.bulk_cases import BULK
from approvals.crash import crash_point
from approvals.models import AccessRequest, BulkRow, Preview
from approvals.policy import Person as Speaker
from approvals.policy import listed
from approvals.store import Actor, AlreadyThere
from handlers.bulk_file import COLUMNS, MOST
from handlers.clicks import clicker, say_unless_open
from handlers.desk import FORM_IS_OPEN, Desk, Said
from handlers.people import who_speaks
from handlers.text import counted, esc, plain, within
from handlers.view import may_see

BULK_FORM, ROWS_VIEW = "bulk_form", "bulk_rows_view"
FILE, REASON, OPTIONS, WHOLE = "file", "reason", "options", "all or nothing"
ROWS, NEXT, PREVIOUS = "bulk_rows", "bulk_next", "bulk_previous"
CONFIRM, DROP = "bulk_confirm", "bulk_drop"
PAGE = 20  # rows of a page
LONGEST_REASON = 1000
MARKS = {"valid": ":white_circle:", "refused": ":no_entry:", "done": ":white_check_mark:", "failed": ":x:"}
NONE_SUCH = "There is no such list that you may see."
ROWS_NOT_OPENED = "Slack did not open the rows. Press *Rows…* once more."
GONE = "That list is not waiting any more. It was asked for, dropped or lapsed."


@dataclass(frozen=True)
class HandedIn:
    """A list before it is read: a file in Slack by its id, or what came from a shell as text."""

    reason: str
    whole: bool
    file: str = ""  # Slack's id
    text: str = ""
    name: str = ""

    def as_text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "HandedIn":
        return cls(**json.loads(text))


# -- handing in ---------------------------------------------------------------------------------------------------


def bulk(desk: Desk, speaker: Speaker, said: Said) -> str:
    """The form with the file; whoever may hand in no list hears so at once."""
    with desk.store.read() as session:
        rule = desk.policy(session).verbs.get(BULK)
    if rule is None:
        return "The policy lets nobody hand in lists: it has no table [verbs.bulk]. An admin can add it."
    if not any(source.kind != "role" or source.name in speaker.roles for source in rule.who_may_ask):
        because = f"Lists are for {listed([source.said for source in rule.who_may_ask])}."
        desk.workflow.refuse(Actor(speaker.account, speaker.team, speaker.user), because, said.source)
        return because
    crash_point("bulk form: before opening")
    opened = desk.open_view(said.trigger, draw_form())
    crash_point("bulk form: opened")
    return FORM_IS_OPEN if opened else "Slack did not open the form for it. Please try again."


def draw_form() -> dict[str, object]:
    """A file, why, and whether it is to be done whole or not at all."""
    whole = {"text": _plain("All or nothing: refuse the whole list when one row can't be done"), "value": WHOLE}
    return {
        "type": "modal",
        "callback_id": BULK_FORM,
        "title": _plain("Hand in a list"),
        "submit": _plain("Hand in"),
        "close": _plain("Cancel"),
        "blocks": [
            _section(
                f"A CSV file with the columns {', '.join(f'`{name}`' for name in COLUMNS)}, at most {MOST:,} rows.",
                "`person` is an e-mail address, an account id or `@name`; `action` is grant, revoke, deactivate, "
                "reactivate, suspend, restore, offboard or tokens; `until` is 4h, 2 days, until revoked or a moment.",
                "It is planned and decided as one; you see each row with what would become of it first.",
            ),
            _input(FILE, "The list", {"type": "file_input", "filetypes": ["csv", "txt"], "max_files": 1}),
            _input(REASON, "What for? Whoever answers reads it.",
                   {"type": "plain_text_input", "multiline": True, "max_length": LONGEST_REASON}),
            _input(OPTIONS, "If a row can't be done", {"type": "checkboxes", "options": [whole]}) | {"optional": True},
        ],
    }  # fmt: skip


def handed_in(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The form was sent: the file is fetched and read by a job, which answers in a direct message."""
    speaker = who_speaks(desk, body["team"]["id"], body["user"]["id"], source)
    if isinstance(speaker, people.Stop):
        ack(response_action="errors", errors={REASON: speaker.because})
        return
    values = body["view"]["state"]["values"]
    files = values.get(FILE, {}).get(FILE, {}).get("files") or []
    reason = (values.get(REASON, {}).get(REASON, {}).get("value") or "").strip()
    if not files or not reason:
        ack(response_action="errors", errors={FILE if not files else REASON: "This is needed."})
        return
    chosen = values.get(OPTIONS, {}).get(OPTIONS, {}).get("selected_options") or []
    whole = any(option.get("value") == WHOLE for option in chosen)
    _hand_on(desk, speaker, HandedIn(reason, whole, file=str(files[0].get("id", ""))), source)
    text = "I'm reading the file. You hear in a direct message what becomes of it; whoever must answer is asked then."
    view = {"type": "modal", "title": _plain("Hand in a list"), "close": _plain("Close"), "blocks": [_section(text)]}
    ack(response_action="update", view=view)


def _hand_on(desk: Desk, speaker: Speaker, given: HandedIn, source: str) -> None:
    """The job that reads it; the same payload is read once."""
    external = f"bulk:{source[:80]}"
    with desk.store.write() as w:
        try:
            w.first_time(source)
        except AlreadyThere:
            return
        w.session.merge(
            Preview(
                id=external, hash="", team=speaker.team, user=speaker.user, subject="", entitlement="",
                form=given.as_text(), at=w.now,
            )
        )  # fmt: skip
        w.enqueue("bulk file", external)


# -- from a shell -------------------------------------------------------------------------------------------------


def confirmed(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Whoever is named by a list from a shell says that it is theirs: only now is anything asked."""
    _answered(desk, body, source, "bulk file")
    ack()


def dropped(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """It is not theirs, or no longer wanted."""
    _answered(desk, body, source, "")
    ack()


def _answered(desk: Desk, body: dict[str, Any], source: str, work: str) -> None:
    speaker = clicker(desk, body, source)
    if speaker is None:
        return
    name = str(body["actions"][0].get("value", ""))
    actor = Actor(speaker.account, speaker.team, speaker.user)
    with desk.store.write() as w:
        waiting = w.session.get(Preview, name)
        mine = waiting is not None and (waiting.team, waiting.user) == (speaker.team, speaker.user)
        if waiting is None or not mine:
            text = GONE
        elif work:
            w.audit("bulk.confirmed", actor=actor, request=name)
            w.enqueue(work, name)
            text = ":hourglass_flowing_sand: I'm reading the list. You hear here what becomes of it."
        else:
            w.audit("bulk.dropped", actor=actor, request=name)
            w.session.delete(waiting)
            text = ":wastebasket: The list is dropped. Nothing was asked."
        channel = body["container"].get("channel_id", "")
        whom = {"team": speaker.team, "user": speaker.user, "channel": channel}
        w.tell("answer", place="person", once=f"answer:{source}", text=text, **whom)


def draw_question(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The buttons under the question; they carry an opaque id."""

    def button(action: str, text: str, style: str) -> dict[str, Any]:
        return {"type": "button", "action_id": action, "text": _plain(text), "value": facts["id"], "style": style}

    answers = [button(CONFIRM, "It is mine: ask for it", "primary"), button(DROP, "Drop it", "danger")]
    return [{"type": "actions", "block_id": "bulk", "elements": answers}]


def question(facts: dict[str, Any]) -> str:
    """What is asked in the direct message."""
    whole = ", all or nothing" if facts["whole"] else ""
    return (
        f":keyboard: *{esc(facts['by'])}* has handed in a list in your name from a shell: {esc(facts['name'])}, "
        f"{counted(facts['rows'], 'row')}{whole}, because {esc(facts['reason'], 500)}\nIts SHA-256 begins with "
        f"`{facts['digest'][:12]}`. Nobody is asked before you say that it is yours."
    )


def asked(facts: dict[str, Any]) -> str:
    """What whoever handed a list in hears first."""
    if facts["joined"]:
        return f":link: You have asked for that very list already: {facts['id']} waits for an answer."
    so_far = f" of {counted(facts['rows'], 'row')}" if facts["rows"] else ""
    some = f"; {facts['refused']:,} of them can't be done, and *Rows…* says why" if facts["refused"] else ""
    return (
        f":hourglass_flowing_sand: {facts['id']} is written down, a list{so_far}{some}. I'm reading Atlassian; then "
        "whoever must answer is asked, and you hear the result."
    )


def draw_way_to_the_rows(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Who asked may not be where the card stands, and looks at the rows from here."""
    button = {"type": "button", "action_id": ROWS, "text": _plain("Rows…"), "value": f"{facts['id']}:1"}
    return [{"type": "actions", "block_id": "bulk", "elements": [button]}]


# -- the rows -----------------------------------------------------------------------------------------------------


def show_rows(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """The first page, drawn from the record."""
    speaker = clicker(desk, body, source)
    if speaker is not None:
        request_id = str(body["actions"][0].get("value", "")).partition(":")[0]
        with desk.store.read() as session:
            view = page_for(desk, session, speaker, request_id, 0, f"rows:{source[:80]}")
        if view is None:
            desk.workflow.answer(speaker, body["container"].get("channel_id", ""), NONE_SUCH, source)
        else:
            crash_point("bulk rows: before opening")
            opened = desk.open_view(body["trigger_id"], view)
            crash_point("bulk rows: opened")
            say_unless_open(desk, speaker, body, FORM_IS_OPEN if opened else ROWS_NOT_OPENED, source)
    ack()


def turn_page(ack: Any, body: dict[str, Any], desk: Desk, source: str) -> None:
    """Next or Previous: a job draws the page into the window."""
    view = body["view"]
    with desk.store.write() as w:
        w.session.merge(
            Preview(
                id=view["external_id"], hash="", team=body["team"]["id"], user=body["user"]["id"], subject="",
                entitlement="", form=str(body["actions"][0].get("value", "")), at=w.now,
            )
        )  # fmt: skip
        w.enqueue("bulk page", view["external_id"])
    ack()


def page_for(
    desk: Desk, session: Session, speaker: Speaker, request_id: str, number: int, external: str
) -> dict[str, object] | None:  # fmt: skip
    """A page of a list's rows for somebody who may see the list; None for everybody else."""
    policy, now = desk.policy(session), desk.store.time_in(session)
    request = session.get(AccessRequest, request_id)
    if request is None or request.verb != BULK or not may_see(session, policy, speaker, request, now):
        return None
    query = select(BulkRow).where(BulkRow.request_id == request_id).order_by(col(BulkRow.number))
    rows = session.exec(query.offset(number * PAGE).limit(PAGE + 1)).all()
    return draw_page(request_id, number, rows[:PAGE], more=len(rows) > PAGE, external=external)


def draw_page(
    request_id: str, number: int, rows: list[BulkRow] | Any, *, more: bool, external: str
) -> dict[str, object]:  # fmt: skip
    """Some rows: what each wants, and what becomes of it or why not."""
    lines = [_row(row) for row in rows] or ["There are no more rows."]
    blocks: list[dict[str, Any]] = [_section(*lines[at : at + 5]) for at in range(0, len(lines), 5)]
    turns = [(PREVIOUS, "Previous", number - 1)] if number else []
    turns += [(NEXT, "Next", number + 1)] if more else []
    buttons = [
        {"type": "button", "action_id": action, "text": _plain(text), "value": f"{request_id}:{page}"}
        for action, text, page in turns
    ]
    if buttons:
        blocks.append({"type": "actions", "block_id": "turn", "elements": buttons})
    return {
        "type": "modal",
        "callback_id": ROWS_VIEW,
        "external_id": external,
        "title": _plain("The rows of the list"),
        "close": _plain("Close"),
        "blocks": blocks,
    }


def _row(row: BulkRow) -> str:
    what = f"{esc(row.verb, 40)} {esc(row.entitlement, 100)}".strip()
    until = f" · {esc(row.until, 60)}" if row.until else ""
    because = f": {esc(row.because, 300)}" if row.because else ""
    state = "can be done" if row.state == "valid" else row.state
    return f"{MARKS[row.state]} *{row.number}* {esc(row.person, 100)} · {what}{until} · {state}{because}"


def _section(*lines: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": within(lines)}}


def _input(name: str, label: str, element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element | {"action_id": name}}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": plain(text, 75)}
