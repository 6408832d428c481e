"""The lines that say outside how far the record is and who holds what until when: written, and read at a start.

Each line is JSON. ``organization``, ``seq``, ``hash``, ``at`` and ``signature`` make it a checkpoint, as the verifier
reads them. ``event`` and what else stands in it have a signature of their own, ``witness``.
"""

import base64
import errno
import fcntl
import heapq
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session, col, select

from approvals.crash import crash_point
from approvals.database import is_one_of
from approvals.models import AuditEntry
from approvals.outside import OVER, PROMISED, Note, notes_of, open_notes
from approvals.plan import canonical
from approvals.ports import OutsideError
from approvals.store import Store
from bot.record.signing import public_part

CHECKPOINT, GIVEN, ENDED, LEFT = "checkpoint", "grants.promised", "grants.over", "record.restored"
SIGNED = ("organization", "seq", "hash", "at")
IN_A_LINE = 200  # grants
OVERLAP = 100  # entries
TAIL = 64 * 1024 * 1024  # bytes that are read of a file; all that is held is said again every day
CANDIDATES = 500  # newest lines of which the first with a right signature counts


log = structlog.get_logger()


class BookError(OutsideError):
    """The file could not be written, so nothing is given that must stand in it."""


@dataclass(frozen=True)
class Said:
    """The newest that was said outside about the record, and who holds what by it."""

    organization: str
    seq: int
    hash: str
    at: str
    where: str  # in which place, for people


@dataclass
class Known:
    """What one place knows. ``trouble`` says why it knows nothing, where it should."""

    newest: Said | None = None
    notes: dict[tuple[str, str, str], Note] = field(default_factory=dict)
    unbelieved: int = 0  # lines whose signature is not ours
    trouble: str = ""


def line_of(
    said: Mapping[str, Any], event: str, key: Ed25519PrivateKey | None, **more: Any
) -> str:  # fmt: skip
    """One line; ``said`` are the four that make a checkpoint, ``more`` whatever else is to be known."""
    four = {name: said[name] for name in SIGNED}
    keyed = {"key": public_part(key), **seals(key, event, four, more)} if key is not None else {}
    return json.dumps({"event": event, **four, **more, **keyed})


def seals(
    key: Ed25519PrivateKey, event: str, four: Mapping[str, Any], more: Mapping[str, Any]
) -> dict[str, str]:  # fmt: skip
    """Two: of what makes a checkpoint, which the verifier looks at, and of everything that is said."""
    whole = {"event": event, **four, **{name: value for name, value in more.items() if name != "key"}}
    return {"signature": _sign(key, four), "witness": _sign(key, whole)}


def _sign(key: Ed25519PrivateKey, said: Mapping[str, Any]) -> str:
    return base64.b64encode(key.sign(canonical(said))).decode()


@dataclass
class Book:
    """Follows the chain. ``file`` must hold every line before anything is given; ``write`` is a log that may."""

    store: Store
    organization: str
    key: Ed25519PrivateKey | None
    file: Path | None
    write: Callable[[str], None]
    trouble: str = field(default="", init=False)  # why the file took nothing when something was last to be written
    seen: Said | None = field(default=None, init=False)  # the newest entry that this process has looked at
    _said_to: int | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def begin_at(self, seq: int) -> None:
        """What the chain has up to there was said before."""
        self._said_to = seq

    def catch_up(self) -> None:
        """See ``approvals.outside.Outside``. Said twice is said: whoever reads it takes the last of each."""
        with self._lock:
            with self.store.read() as session:
                head = self._head(session)
                lines = list(self._new_lines(session, head))
            if lines:
                crash_point("book: before writing")
                self._put(lines)
                crash_point("book: written")
            self._said_to = head["seq"]

    def say_all(self) -> None:
        """Everything that is held now, so that older lines can be thrown away."""
        with self._lock:
            with self.store.read() as session:
                head, notes = self._head(session), open_notes(session)
            if notes:
                self._put(self._lines(head, GIVEN, notes))

    def say(self, event: str, **more: Any) -> str:
        """One line about the head of the chain; the line."""
        with self._lock:
            with self.store.read() as session:
                head = self._head(session)
            line = line_of(head, event, self.key, **more)
            self._put([line])
        return line

    def _new_lines(self, session: Session, head: Mapping[str, Any]) -> Iterator[str]:
        if self._said_to is None:  # nobody has looked what was said before: rather twice than not at all
            self._said_to = head["seq"] - OVERLAP
        new = (AuditEntry.seq > self._said_to, AuditEntry.seq <= head["seq"])
        rows = session.exec(select(AuditEntry.event, AuditEntry.request_id).where(
            *new, is_one_of(AuditEntry.event, (*PROMISED, *OVER))
        )).all()  # fmt: skip
        given = dict.fromkeys(request for event, request in rows if request and event in PROMISED)
        over = dict.fromkeys(request for event, request in rows if request and event in OVER)
        yield from self._lines(head, GIVEN, list(notes_of(session, given, held=True)))
        yield from self._lines(head, ENDED, list(notes_of(session, over, held=False)))

    def _lines(self, head: Mapping[str, Any], event: str, notes: Sequence[Note]) -> Iterator[str]:
        for at in range(0, len(notes), IN_A_LINE):
            grants = [note.written() for note in notes[at : at + IN_A_LINE]]
            yield line_of(head, event, self.key, grants=grants)

    def _head(self, session: Session) -> dict[str, Any]:
        """The four that make a checkpoint; entry 0 while there is none."""
        newest = select(AuditEntry.seq, AuditEntry.hash).order_by(col(AuditEntry.seq).desc()).limit(1)
        seq, hash = session.exec(newest).first() or (0, "")
        at = self.store.time_in(session).isoformat()
        if seq:
            self.seen = Said(self.organization, seq, hash, at, "a worker")
        return {"organization": self.organization, "seq": seq, "hash": hash, "at": at}

    def keep(self, lines: Iterable[str]) -> None:
        """Where it must be, if that is set up."""
        if self.file is None:
            return
        try:
            append(self.file, lines)
        except BookError as error:
            self.trouble = str(error)
            raise
        self.trouble = ""

    def _put(self, lines: Iterable[str]) -> None:
        """First where it must be, then where it may be: a log that takes nothing stops no gift and no way out."""
        kept = list(lines)
        self.keep(kept)
        for line in kept:
            try:
                self.write(line)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                log.error("standard output does not take what is said of the record", why=str(error))
                return


def append(file: Path, lines: Iterable[str]) -> None:
    """Each on a line of its own, on the disk when this returns; a line that was cut by a crash is closed first."""
    text = "".join(f"{line}\n" for line in lines).encode()
    try:
        handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            with suppress(OSError):  # where a file can't be locked, what comes of it is an empty line at worst
                fcntl.flock(handle, fcntl.LOCK_EX)  # half a line that somebody is writing looks like one that was cut
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                text = b"\n" + text
            while text:
                text = text[os.write(handle, text) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise BookError(_not_written(file, error), retry=True) from None


def why_not_writable(file: Path) -> str:
    """Why nothing could be written there, found out without writing; empty where something can.

    A file that is not there is not made: whoever looks may be somebody else than the bot, who could not write then.
    """
    try:
        if file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND))
        elif not os.access(file.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "its folder is not there, or nobody may write into it")
    except OSError as error:
        return _not_written(file, error)
    return ""


def _not_written(file: Path, error: OSError) -> str:
    return f"CHECKPOINT_FILE: {file} can't be written ({error.strerror}), so nothing is given"


# -- reading --------------------------------------------------------------------------------------------------------


def read_file(file: Path, organization: str, key: Ed25519PrivateKey | None) -> Known:
    """What a file knows; one that is not there knows nothing, and that is no trouble."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL))
            return read_lines((line.decode("utf-8", "replace") for line in stream), organization, key, str(file))
    except FileNotFoundError:
        return Known()
    except OSError as error:
        return Known(trouble=f"CHECKPOINT_FILE: {file} can't be read ({error.strerror})")


def read_lines(lines: Iterable[str], organization: str, key: Ed25519PrivateKey | None, where: str) -> Known:
    """Whatever else stands in front of a line or between them; the oldest line first.

    Signatures are looked at only where something rests on them: of the newest, of what is still held by it, and of the
    line that says that a record was restored, from which on only what comes after it counts.
    """
    known = Known()
    newest: list[tuple[int, int, dict[str, Any]]] = []
    held: dict[tuple[str, str, str], tuple[Note, dict[str, Any]]] = {}
    for number, text in enumerate(lines):
        line = _line(text) if '"hash"' in text else None
        if line is None or line["organization"] != organization:
            continue
        if line.get("event") == LEFT and _is_ours(line, key):
            newest.clear()
            held.clear()
        entry = (line["seq"], number, line)
        heapq.heappush(newest, entry) if len(newest) < CANDIDATES else heapq.heappushpop(newest, entry)
        _take(line, held)
    for seq, _, line in sorted(newest, reverse=True):
        if _is_ours(line, key):
            known.newest = Said(line["organization"], seq, line["hash"], line["at"], where)
            break
        known.unbelieved += 1
    for note, line in held.values():
        if _is_ours(line, key):
            known.notes[note.key] = note
        else:
            known.unbelieved += 1
    return known


def _take(line: dict[str, Any], held: dict[tuple[str, str, str], tuple[Note, dict[str, Any]]]) -> None:
    grants = line.get("grants")
    if line.get("event") not in (GIVEN, ENDED, CHECKPOINT) or not isinstance(grants, list):
        return
    for written in grants:
        try:
            note = Note.read(written)
        except (ValueError, TypeError):
            continue
        if line["event"] == ENDED:
            held.pop(note.key, None)
        else:
            held[note.key] = (note, line)


def _line(text: str) -> dict[str, Any] | None:
    begin, end = text.find("{"), text.rfind("}")
    try:
        line = json.loads(text[begin : end + 1])
        right = isinstance(line["seq"], int) and all(isinstance(line[name], str) for name in ("organization", "hash"))
        datetime.fromisoformat(line["at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return line if right else None


def _is_ours(line: Mapping[str, Any], key: Ed25519PrivateKey | None) -> bool:
    """Without a key nothing is signed, and whoever can write there is believed: it only ever holds back."""
    if key is None:
        return True
    extra = line.get("event", CHECKPOINT) != CHECKPOINT or "grants" in line or "witness" in line
    name = "witness" if extra else "signature"
    said = {k: v for k, v in line.items() if k not in ("key", "signature", "witness")} if extra else {
        k: line.get(k) for k in SIGNED
    }  # fmt: skip
    try:
        key.public_key().verify(base64.b64decode(str(line.get(name, "")), validate=True), canonical(said))
    except (ValueError, InvalidSignature):
        return False
    return True
