"""The pages of an evidence folder: plain HTML, no script, nothing from outside, every text escaped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from approvals.durations import say_duration
from bot.record.dossiers import WHO, Dossier, Line
from handlers.text import plain

A_PAGE = {"requests": 200}  # fragments a file
ROWS_A_PAGE = 1000
SHOWN = 100  # lines of one kind within one request; the tables have all of them
LONGEST = 4000  # characters of one text

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 80rem; margin: 0 auto }}
body {{ padding: 0 1.5rem 4rem }}
nav {{ padding: 1rem 0; border-bottom: 1px solid #d5dce3; margin-bottom: 1.5rem }}
nav a {{ margin-right: 1.2rem }}
a {{ color: #1f5a99 }}
h1 {{ font-size: 1.7rem; margin: 1rem 0 }}
h2 {{ font-size: 1.25rem; margin: 2.2rem 0 0.6rem }}
h3 {{ font-size: 1rem; margin: 1.4rem 0 0.4rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; vertical-align: top; border-bottom: 1px solid #e6eaee }}
th {{ font-weight: 600; vertical-align: bottom }}
td.words {{ overflow-wrap: anywhere; min-width: 9rem }}
td.short div {{ display: inline-block; max-width: 11rem; overflow-wrap: break-word }}
td details {{ border: 0; padding: 0 }}
td.number {{ text-align: right }}
td.time, td.id {{ white-space: nowrap }}
code, small, pre {{ font-size: 0.8rem }}
small {{ color: #5c6b7a; overflow-wrap: anywhere }}
code {{ overflow-wrap: anywhere }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f6f8; padding: 0.8rem }}
details {{ border-bottom: 1px solid #e6eaee; padding: 0.35rem 0 }}
details > div {{ margin: 0.5rem 0 1.5rem 1.2rem }}
summary {{ cursor: pointer }}
.alarm {{ color: #a11d1d; font-weight: 600 }}
svg {{ max-width: 45rem; display: block }}
svg text {{ font: 13px system-ui, sans-serif; fill: #1c2733 }}
svg text.n {{ text-anchor: middle; font-size: 12px }}
svg line {{ stroke: #9aa7b4 }}
rect.s0 {{ fill: #3b6ea5 }}
rect.s1 {{ fill: #7aa95c }}
span.s0 {{ color: #3b6ea5 }}
span.s1 {{ color: #7aa95c }}
</style>
"""

TITLES = {
    "requests": "Requests", "decisions": "Decisions", "effects": "Effects", "ends": "Ends",
    "break-glass": "Break-glass", "proposals": "Proposals", "policies": "Policies",
}  # fmt: skip
SAYS = {
    "requests": "Open one to see all that belongs to it: who answered, what was called, what Atlassian answered, when"
    " it ended, and the entries of the record that say so.",
    "decisions": "Who answered, in whose place, and whether the answer counted and why.",
    "effects": "Each call that was to change something, Atlassian's answer, the moment a read proved it, and the event"
    " of Atlassian's own audit log that shows it.",
    "ends": "What was held until when. Late is an end that was read back after its time; an early end is not late.",
    "break-glass": "Access that was taken first, and what was said of it afterwards by somebody who was not in it.",
    "proposals": "What several admins had to agree to: a policy, the end of a freeze, whose account somebody's is.",
    "policies": "Every version of the rules until the end of this time.",
}
EVENTS = {
    "found": "found", "doubtful": "in doubt: several events fit", "looking": "not found yet",
    "not_logged": "Atlassian has shown no such change here", "missing": "MISSING", "": "not looked for",
}  # fmt: skip
# What people read of each table, and how the column is headed.
READ: Mapping[str, Mapping[str, str]] = {
    "decisions": {"cast_at": "When", "request": "Request", "who": "Who", "seat": "In the place of", "choice": "Said",
                  "outcome": "The answer", "because": "Because", "reason": "Their words",
                  "minutes_waited": "Minutes after asking"},
    "effects": {"intended_at": "When", "request": "Request", "did": "What", "answer": "Answer",
                "read_back_at": "Proved by a read", "event": "Atlassian's own event"},
    "ends": {"request": "Request", "account": "Who", "entitlement": "What", "active_at": "Held since",
             "ends_at": "To end", "ended_at": "Ended", "seconds_late": "Seconds late", "status": "Status",
             "because": "Because"},
    "break-glass": {"taken_at": "Taken", "request": "Request", "person": "Who", "entitlement": "What",
                    "incident": "Incident", "reason": "Their words", "minutes_held": "Minutes held",
                    "verdict": "Verdict", "verdict_reason": "Because", "judged_by": "By", "settled_at": "When"},
    "proposals": {"asked_at": "When", "kind": "Kind", "by": "Asked by", "shown": "What", "needs": "Needs",
                  "answers": "Answers", "status": "Status", "because": "Because"},
    "policies": {"version": "Version", "applied_at": "Applied", "by": "By", "hash": "Hash",
                 "in_force": "In force in this time", "text": "Rules"},
}  # fmt: skip
WORDS = {"did", "answer", "event", "reason", "because", "verdict_reason", "shown", "answers", "text"}  # may be long
ENTRIES = {"entry": "Entry", "at": "When", "event": "What", "actor": "By"}


# -- a file after the other -------------------------------------------------------------------------------------------


@dataclass
class Pages:
    """One kind of page, in as many files as it takes; a file is written when it is known whether another follows."""

    folder: Path
    name: str
    files: list[str] = field(default_factory=list)
    _held: list[str] = field(default_factory=list)

    @property
    def file(self) -> str:
        """Where the next fragment goes."""
        full = len(self._held) >= A_PAGE.get(self.name, ROWS_A_PAGE)
        return self._called(len(self.files) + 1 + full)

    def add(self, fragment: str) -> None:
        if len(self._held) >= A_PAGE.get(self.name, ROWS_A_PAGE):
            self._write(more=True)
        self._held.append(fragment)

    def close(self) -> None:
        self._write(more=False)

    def _called(self, number: int) -> str:
        return f"{self.name}.html" if number == 1 else f"{self.name}-{number}.html"

    def _write(self, *, more: bool) -> None:
        number = len(self.files) + 1
        title = TITLES[self.name] + (f", page {number}" if number > 1 else "")
        body = "".join(self._held)
        if not self._held:
            body = "<p>None in this time.</p>"
        elif self.name in READ:
            heads = "".join(f"<th>{escape(head)}</th>" for head in READ[self.name].values())
            body = f"<table><tr>{heads}</tr>{body}</table>"
        before = f'<a href="{self._called(number - 1)}">Earlier</a> ' if number > 1 else ""
        after = f'<a href="{self._called(number + 1)}">Later</a>' if more else ""
        text = f"{top(title)}<p>{escape(SAYS[self.name])}</p>{body}<p>{before}{after}</p></html>\n"
        (self.folder / self._called(number)).write_text(text, encoding="utf-8")
        self.files.append(self._called(number))
        self._held.clear()


def top(title: str) -> str:
    links = "".join(f'<a href="{name}.html">{escape(said)}</a>' for name, said in TITLES.items())
    return (
        f'{HEAD.format(title=escape(title))}<nav><a href="index.html">Evidence</a>{links}</nav><h1>{escape(title)}</h1>'
    )


# -- cells ------------------------------------------------------------------------------------------------------------


def row(name: str, line: Line, where: Mapping[str, str]) -> str:
    """A line of a table. ``where``: by request, the file it is told in."""
    return f"<tr>{''.join(_cell(name, key, line, where) for key in READ[name])}</tr>"


def _cell(name: str, key: str, line: Line, where: Mapping[str, str]) -> str:
    value = line[key]
    if key == "request":
        return f'<td class="id">{_link(value, where)}</td>'
    if key in SHOWN_AS.get(name, {}):
        return f'<td class="{"words" if key in WORDS else "short"}"><div>{SHOWN_AS[name][key](line)}</div></td>'
    if key in WHO:
        return f'<td class="short"><div>{named(line, key)}</div></td>'
    if isinstance(value, datetime):
        return f'<td class="time">{moment(value)}</td>'
    if isinstance(value, bool):
        return f"<td>{'yes' if value else ''}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{value:g}</td>'
    return f'<td class="{"words" if key in WORDS else "short"}"><div>{said(value)}</div></td>'


def _link(request: str, where: Mapping[str, str]) -> str:
    file = where.get(request)
    return f'<a href="{escape(file)}#{escape(request)}">{said(request)}</a>' if file else said(request)


def who(line: Line, key: str) -> str:
    """The name, and the account behind it; Gatehouse itself has none."""
    account, name = line[key], line.get(f"{key}_name", "")
    return f"{said(name)} <small>{said(account)}</small>" if name else said(account)


def named(line: Line, key: str) -> str:
    """The name alone, for tables: the account is in the file for spreadsheets, and where the request is told."""
    name = line.get(f"{key}_name", "")
    return f'<span title="{said(line[key])}">{said(name)}</span>' if name else said(line[key])


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def said(value: object) -> str:
    """Foreign text: nothing in it is ours, nothing in it is hidden."""
    return escape(plain(str(value), LONGEST)) if value is not None else ""


def _in_the_place_of(line: Line) -> str:
    return named(line, "seat") if line["seat"] != line["who"] else ""


def _did(line: Line) -> str:
    purpose = " (the end)" if line["purpose"] == "end" else ""
    call = f"{said(line['api'])}: {said(line['method'])} {said(line['path'])}"
    return f"{said(line['did'])}{purpose}<br><small>{call}</small>"


def _answered(line: Line) -> str:
    return said(line["answer"]) if line["answered_at"] else '<span class="alarm">no answer was recorded</span>'


def _event(line: Line) -> str:
    state = EVENTS.get(line["event_state"], line["event_state"])
    if line["event"]:
        return f"{said(line['event_says'] or line['event_action'])}<br><code>{said(line['event'])}</code>"
    return f'<span class="alarm">{said(state)}</span>' if state == "MISSING" else said(state)


def _verdict(line: Line) -> str:
    if line["verdict"]:
        words = f"{said(line['verdict'])}{' (a drill)' if line['drill'] else ''}"
        return f'<span class="alarm">{words}</span>' if line["verdict"] == "misuse" else words
    return f'<span class="alarm">none: {said(line["review"])}, due {moment(line["due_at"])}</span>'


def _rules(line: Line) -> str:
    return f"<details><summary>show</summary><pre>{escape(line['text'])}</pre></details>"


def _hash(line: Line) -> str:
    return f"<code>{said(line['hash'])}</code>"


SHOWN_AS: Mapping[str, Mapping[str, Callable[[Line], str]]] = {
    "decisions": {"seat": _in_the_place_of},
    "effects": {"did": _did, "answer": _answered, "event": _event},
    "break-glass": {"verdict": _verdict},
    "policies": {"text": _rules, "hash": _hash},
}


# -- a request --------------------------------------------------------------------------------------------------------


def request_fragment(found: Dossier, against: Sequence[str]) -> str:
    """A line that opens, with everything about it below. ``against``: what the record does not bear out."""
    request = found.request
    parts = _part("decisions", found.decisions) + _part("effects", found.effects)
    parts += _part("ends", found.ends) + _part("break-glass", found.glass)
    facts = {
        "Asked": f"{moment(request['asked_at'])} by {who(request, 'requester')}",
        "For": who(request, "subject"),
        "Their words": said(request["reason"]),
        "Incident": said(request["incident"]),
        "Status": f"{said(request['status'])} since {moment(request['moved_at'])}"
        + (", a rehearsal: nothing was called" if request["rehearsal"] else ""),
        "Because": said(request["because"]),
        "Approved by": who(request, "approver"),
        "Closed by": who(request, "closed_by"),
    }
    rows = "".join(f"<tr><th>{head}</th><td>{value}</td></tr>" for head, value in facts.items() if value)
    alarm = "".join(f'<p class="alarm">NOT what the record says: {said(sentence)}.</p>' for sentence in against)
    return (
        f"<details><summary><b>{said(request['request'])}</b> · {moment(request['asked_at'])[:16]} · {summary(request)}"
        f" · {said(request['status'])}</summary>"
        f'<div id="{escape(request["request"])}">{alarm}<table>{rows}</table>{parts}{_record(found.entries)}'
        "</div></details>"
    )


def summary(request: Line) -> str:
    """What was wanted, in a line."""
    name, subject = (request[f"{key}_name"] or request[key] for key in ("requester", "subject"))
    what = f"{request['verb']} {request['entitlement']}".strip()
    whom = f" for {said(subject)}" if request["subject"] != request["requester"] else ""
    seconds = request["seconds"]
    length = f", {say_duration(timedelta(seconds=seconds))}" if seconds else ""
    glass = " by hand" if request["by_hand"] else " by break-glass" if request["incident"] else ""
    return f"{said(name)}: {said(what)}{whom}{length}{glass}"


def _part(name: str, lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    heads = "".join(f"<th>{escape(head)}</th>" for key, head in READ[name].items() if key != "request")
    rows = "".join(
        "<tr>" + "".join(_cell(name, key, line, {}) for key in READ[name] if key != "request") + "</tr>"
        for line in lines[:SHOWN]
    )
    more = f"<p>… and {len(lines) - SHOWN} more in {name}.csv</p>" if len(lines) > SHOWN else ""
    return f"<h3>{escape(TITLES[name])}</h3><table><tr>{heads}</tr>{rows}</table>{more}"


def _record(entries: Sequence[Line]) -> str:
    """Closed: it is for whoever holds the rest against the record."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in ENTRIES.values())
    rows = "".join(
        f'<tr><td>{line["entry"]}</td><td class="time">{moment(line["at"])}</td><td>{said(line["event"])}</td>'
        f"<td>{said(line['actor_name'] or line['actor'])}</td></tr>"
        for line in entries[:SHOWN]
    )
    more = f"<p>… and {len(entries) - SHOWN} more in record.jsonl</p>" if len(entries) > SHOWN else ""
    table = f"<table><tr>{heads}</tr>{rows}</table>{more}"
    return f"<details><summary>{len(entries)} entries of the record</summary><div>{table}</div></details>"


# -- the index --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """What the first page says."""

    period: str
    organization: str
    written: str
    counts: Mapping[str, str]  # by part, a sentence
    charts: Iterable[str]  # drawn
    proof: Iterable[str]  # sentences, escaped
    sums: Mapping[str, str]  # by file


def index(said_there: Index) -> str:
    """All of it."""
    parts = "".join(
        f'<tr><td><a href="{name}.html">{escape(TITLES[name])}</a></td><td>{escape(count)}</td>'
        f'<td><a href="{name}.csv">{name}.csv</a></td></tr>'
        for name, count in said_there.counts.items()
    )
    files = "".join(
        f'<tr><td><a href="{escape(name)}">{escape(name)}</a></td><td><code>{escape(digest)}</code></td></tr>'
        for name, digest in said_there.sums.items()
    )
    return (
        f"{top('Evidence of who had access, and why')}"
        f"<p>Organization <code>{escape(said_there.organization)}</code>, {escape(said_there.period)},"
        f" written {escape(said_there.written)}. All times are UTC.</p>"
        "<p>Shown is every request that was asked, answered, carried out, held or judged in this time, with all that"
        " belongs to it. Names are those that are known today; the accounts below them do not change.</p>"
        f"<table><tr><th>What</th><th>How many</th><th>As a table</th></tr>{parts}</table>"
        f"<h2>At a glance</h2>{''.join(said_there.charts)}"
        f"<h2>Proof</h2>{''.join(f'<p>{sentence}</p>' for sentence in said_there.proof)}"
        "<h2>Files</h2><p>To check them: <code>sha256sum --check SHA256SUMS</code></p>"
        f"<table><tr><th>File</th><th>SHA-256</th></tr>{files}</table></html>\n"
    )
