"""Checks a Gatehouse record without Gatehouse: this one file, and Python's standard library.

    python gatehouse_verify.py gatehouse.db    --checkpoint checkpoints.log
    python gatehouse_verify.py record.jsonl    --checkpoint checkpoints.log --key PUBLIC_KEY

The record is a SQLite file, or what `gatehouse audit export --format jsonl` wrote. Checkpoints are the lines the bot
sent away while it ran: from the Slack channel, the log or the webhook. They are never looked for in the database, for
whoever can rewrite the record could rewrite them as well.

Status 0: whole. 1: something was changed. 2: it could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import gc
import hashlib
import json
import os
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice, repeat
from pathlib import Path
from typing import Any

DOMAIN = b"gatehouse-audit-v1\0"
GENESIS = "0" * 64
PAGE = 500  # entries a read, so that a bot that is running is never held up
WORTH = 20_000  # entries from which on several processes are worth their start
STRETCHES = 4  # for each of them: who has less to do otherwise takes the next one
SAID = 50  # problems that are printed; the count says the rest
SQLITE = b"SQLite format 3\0"
SIGNED = ("organization", "seq", "hash", "at")

Entry = tuple[int, str, str, bytes, str, "str | None"]  # seq, prev, hash, body, event, request
Text = tuple[int, str, str, str]  # the entry beside which it lies, name, salt, text
Page = tuple[Sequence[Entry], Sequence[Text]]  # entries in order, and their texts by entry and name
Ask = Callable[[str, Mapping[str, Any]], Sequence[Any]]  # a statement and its values; all of its rows

_numbered = struct.Struct(">QQ").pack
_hexadecimal = type(hashlib.sha256()).hexdigest


class Unreadable(Exception):
    """Why nothing can be said about this record."""


@dataclass
class Checkpoint:
    """What was said outside about the record at one moment."""

    organization: str
    seq: int
    hash: str
    at: str
    key: str = ""
    signature: str = ""

    def signed(self) -> bytes:
        """The very bytes that are signed."""
        said = {name: getattr(self, name) for name in SIGNED}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Found:
    """What a walk along the chain found."""

    first: int = 0
    before: str = GENESIS  # what the first entry follows
    entries: int = 0
    head: str = GENESIS
    last: int = 0
    erased: int = 0  # texts that are no longer there: the chain holds their digests and can't tell why
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems


def link(prev: str, seq: int, body: bytes) -> str:
    """The hash of an entry: over the previous hash, the number and the length-prefixed stored bytes."""
    return hashlib.sha256(DOMAIN + prev.encode() + _numbered(seq, len(body)) + body).hexdigest()


def digest(salt: str, text: str) -> str:
    """What an entry holds of a text that lies beside it: it proves the text and does not give it away."""
    return hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


def verify(pages: Iterable[Page], checkpoints: Iterable[Checkpoint] = (), *, part: bool = False) -> Found:
    """Walk the chain from its first entry, and hold it against what was said about it outside.

    ``part``: the record is an extract, which may begin anywhere; what is before it is not looked at.
    """
    found = Found()
    said: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        said.setdefault(checkpoint.seq, []).append(checkpoint)
    for entries, texts in pages:
        if found.entries == 0:
            _begin(entries[0], found, part)
        if _follows(entries, found):
            found.entries += len(entries)
            found.last, found.head = entries[-1][0], entries[-1][2]
            sound = list(entries)
        else:
            sound = [entry for entry in entries if _walk(entry, found)]
        _look_beside(sound, texts, found)
        _compare(entries, said, found)
    for seq, missed in sorted(said.items()):
        if found.last < seq:
            found.problems.append(
                f"the record ends at entry {found.last}, but the checkpoint of {missed[0].at} saw entry {seq}: "
                "its end was cut off"
            )
        elif not part or found.first <= seq:
            found.problems.append(f"entry {seq}, which the checkpoint of {missed[0].at} saw, is not there")
    return found


def _begin(first: Entry, found: Found, part: bool) -> None:
    seq, prev, *_ = first
    found.first, found.before = seq, prev
    if part and seq != 1:
        found.head, found.last = prev, seq - 1


def _follows(entries: Sequence[Entry], found: Found) -> bool:
    """Whether every number, link and hash of a page is as it must be.

    A page at a time, with the loops in C: one entry at a time takes half as long again. It only says that all is well;
    where anything is not, the entries are walked one by one, which names it.
    """
    seqs, prevs, hashes, bodies, _, _ = zip(*entries)  # noqa: B905
    try:
        parts = zip(repeat(DOMAIN), map(str.encode, prevs), map(_numbered, seqs, map(len, bodies)), bodies)
        return (
            seqs == tuple(range(found.last + 1, found.last + 1 + len(seqs)))
            and prevs == (found.head, *hashes[:-1])
            and hashes == tuple(map(_hexadecimal, map(hashlib.sha256, map(b"".join, parts))))
        )
    except (struct.error, AttributeError, TypeError, UnicodeError):
        return False


def _walk(entry: Entry, found: Found) -> bool:
    """One entry against the one before it and its own hash; after a bad one the walk goes on. Whether it is sound."""
    seq, prev, said, body, _, _ = entry
    if seq != found.last + 1:
        found.problems.append(f"entry {found.last + 1} is missing: the next one is {seq}")
    if prev != found.head:
        found.problems.append(f"entry {seq} does not follow the one before it")
    try:
        whole = said == link(prev, seq, body)
    except (struct.error, AttributeError, TypeError, UnicodeError):
        whole = False
    if not whole:
        found.problems.append(f"entry {seq} was changed after it was written")
    found.entries += 1
    found.head, found.last = said, seq if isinstance(seq, int) else found.last + 1
    return whole


def _look_beside(entries: Sequence[Entry], texts: Sequence[Text], found: Found) -> None:
    """What lies beside the entries of a page: their texts, and the columns they are found by.

    How an entry ends is known from them, for its keys are in order. Where one ends otherwise it is looked at closer.
    """
    digests: dict[int, str] = {}
    for seq, name, salt, text in texts:
        said = f'"{name}":"{digest(salt, text)}"'
        digests[seq] = f"{digests[seq]},{said}" if seq in digests else said
    ends = [
        (
            f'"details":{{{digests.get(seq, "")}}},"event":"{event}","request":null}}'
            if request is None
            else f'"details":{{{digests.get(seq, "")}}},"event":"{event}","request":"{request}"}}'
        ).encode("utf-8", "replace")
        for seq, _, _, _, event, request in entries
    ]
    known = list(map(bytes.endswith, [entry[3] for entry in entries], ends))
    if all(known):
        return
    beside: dict[int, list[Text]] = {}
    for one in texts:
        beside.setdefault(one[0], []).append(one)
    for entry, as_known in zip(entries, known):  # noqa: B905
        if not as_known:
            _look_closer(entry, beside.get(entry[0], ()), found)


def _look_closer(entry: Entry, texts: Sequence[Text], found: Found) -> None:
    """An entry of which a text was erased, or with anything beside it that does not belong to it."""
    seq, _, _, body, event, request = entry
    beside = {name: digest(salt, text) for _, name, salt, text in texts}
    try:
        written = json.loads(body)
        chained = dict(written["details"])
        index = (written["event"], written["request"])
    except (ValueError, TypeError, KeyError, RecursionError):
        found.problems.append(f"entry {seq} was not written by Gatehouse")
        return
    if index != (event, request):
        found.problems.append(f"the index of entry {seq} was changed: it is {index[0]} of {index[1]}")
    found.erased += len(chained.keys() - beside.keys())
    for name, said in beside.items():
        if name not in chained:
            found.problems.append(f"the {name} of entry {seq} was added to it")
        elif said != chained[name]:
            found.problems.append(f"the {name} of entry {seq} was changed after it was written")


def _compare(entries: Sequence[Entry], said: dict[int, list[Checkpoint]], found: Found) -> None:
    """A page with what was said outside about its entries."""
    if not said:
        return
    hashes = {entry[0]: entry[2] for entry in entries}
    for seq in sorted(said.keys() & hashes.keys()):
        found.problems += [
            f"entry {seq} is not the one the checkpoint of {checkpoint.at} saw: the record was rewritten"
            for checkpoint in said.pop(seq)
            if checkpoint.hash != hashes[seq]
        ]


# -- the record ---------------------------------------------------------------------------------------------------


def pages_of(path: Path, lost: list[str]) -> Iterator[Page]:
    """The pages of a SQLite file or an export, in order; what belongs to no entry is named in ``lost``."""
    try:
        with path.open("rb") as file:
            kind = file.read(len(SQLITE))
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}.") from None
    return _of_sqlite(path, lost) if kind == SQLITE else _of_export(path)


def _of_sqlite(path: Path, lost: list[str]) -> Iterator[Page]:
    try:
        connection = _opened(path)
        try:
            ask = _asking(connection)
            yield from pages(ask)
            lost += texts_of_nobody(ask)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unreadable(f"{path} can't be read as a record: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _asking(connection: sqlite3.Connection) -> Ask:
    """Each statement on its own, and read to its end at once: nobody who writes waits for longer than that."""
    return lambda statement, values: connection.execute(statement, values).fetchall()


def pages(
    ask: Ask, after: int | None = None, last: int | None = None, *, bytes_of: str = "CAST(body AS BLOB)"
) -> Iterator[Page]:
    """The entries behind ``after``, as far as ``last``; None: all there are. ``bytes_of``: how to ask for a body's."""
    read = f"SELECT seq, prev, hash, {bytes_of}, event, request_id FROM audit "
    beside = "SELECT seq, name, salt, text FROM audit_details WHERE seq BETWEEN :first AND :last ORDER BY seq, name"
    while True:
        where = " AND ".join([*(["seq > :after"] if after is not None else []), *(["seq <= :last"] if last else [])])
        where = f"WHERE {where} " if where else ""
        of = {"after": after, "last": last}
        entries = ask(f"{read}{where}ORDER BY seq LIMIT {PAGE}", {name: of[name] for name in of if f":{name}" in where})
        if not entries:
            return
        yield entries, ask(beside, {"first": entries[0][0], "last": entries[-1][0]})
        after = entries[-1][0]


def texts_of_nobody(ask: Ask) -> list[str]:
    """One statement, so that an entry which is written meanwhile is not taken for a missing one."""
    beyond = (
        "SELECT DISTINCT seq FROM audit_details WHERE seq > (SELECT coalesce(max(seq), 0) FROM audit)"
        " OR seq < (SELECT coalesce(min(seq), 0) FROM audit) ORDER BY seq"
    )
    return [f"there are texts of entry {seq}, which is not there" for (seq,) in ask(beyond, {})]


def _of_export(path: Path) -> Iterator[Page]:
    with path.open("rb") as file:
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        while some := list(islice(lines, PAGE)):
            entries: list[Entry] = []
            texts: list[Text] = []
            for number, line in some:
                try:
                    entry, beside = entry_of(json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    raise Unreadable(f"line {number} of {path} is no entry of a record.") from None
                entries.append(entry)
                texts += beside
            yield entries, texts


def entry_of(entry: dict[str, Any]) -> tuple[Entry, list[Text]]:
    """An entry as an export writes it, and its texts."""
    seq, prev, said, body = entry["seq"], str(entry["prev"]), str(entry["hash"]), str(entry["body"])
    if not isinstance(seq, int) or isinstance(seq, bool):
        raise TypeError("seq")
    texts = [(seq, str(name), str(kept["salt"]), str(kept["text"])) for name, kept in sorted(entry["details"].items())]
    return (seq, prev, said, body.encode(), str(entry["event"]), entry["request"]), texts


def verify_file(path: Path, checkpoints: Sequence[Checkpoint] = (), *, part: bool = False) -> Found:
    """The whole record, by several processes where it is long: they only find that it is whole.

    Wherever one of them finds anything else, everything is walked once more in order, which names it.
    """
    lost: list[str] = []
    found = None if part else _together(path, checkpoints, lost)
    found = found or verify(pages_of(path, lost), checkpoints, part=part)
    found.problems += lost
    return found


def _together(path: Path, checkpoints: Sequence[Checkpoint], lost: list[str]) -> Found | None:
    """None where the record is short, no database, or not whole at first sight."""
    workers = os.cpu_count() or 1
    try:
        with path.open("rb") as file:
            if workers < 2 or file.read(len(SQLITE)) != SQLITE:
                return None
        connection = _opened(path)
        try:
            (newest,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()
            if not isinstance(newest, int) or newest < WORTH or any(one.seq > newest for one in checkpoints):
                return None
            ends = [newest * n // (workers * STRETCHES) for n in range(1, workers * STRETCHES)]
            parts = [(str(path), begin, end) for begin, end in zip([None, *ends], [*ends, newest])]  # noqa: B905
            with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:  # nothing goes round in circles here
                walked = list(pool.map(_part, *zip(*parts), repeat(list(checkpoints))))  # noqa: B905
            lost += texts_of_nobody(_asking(connection))
        finally:
            connection.close()
    except (OSError, sqlite3.Error):
        return None
    whole = Found()
    for one in walked:
        if one.problems or (one.first, one.before) != (whole.last + 1, whole.head):
            lost.clear()
            return None
        whole.first = whole.first or one.first
        whole.entries, whole.erased = whole.entries + one.entries, whole.erased + one.erased
        whole.head, whole.last = one.head, one.last
    return whole


def _part(path: str, after: int | None, last: int, checkpoints: list[Checkpoint]) -> Found:
    """A stretch of the chain, in a process of its own."""
    connection = _opened(Path(path))
    try:
        mine = [one for one in checkpoints if (after or 0) < one.seq <= last]
        return verify(pages(_asking(connection), after, last), mine, part=after is not None)
    finally:
        connection.close()


# -- what was said outside ----------------------------------------------------------------------------------------


def checkpoints_of(path: Path) -> list[Checkpoint]:
    """Those of a file: JSON objects, one a line, whatever else stands in the file or in front of them."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}.") from None
    found = [checkpoint for line in lines if '"hash"' in line and (checkpoint := _checkpoint(line))]
    if not found:
        raise Unreadable(f"{path} has no checkpoint in it.")
    return found


def _checkpoint(line: str) -> Checkpoint | None:
    begin, end = line.find("{"), line.rfind("}")
    try:
        said = json.loads(line[begin : end + 1])
        known = (said["organization"], said["seq"], said["hash"], said["at"])
        if isinstance(known[1], int) and all(isinstance(known[n], str) for n in (0, 2, 3)):
            return Checkpoint(*known, key=str(said.get("key") or ""), signature=str(said.get("signature") or ""))
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def signatures(checkpoints: Sequence[Checkpoint], key: str) -> tuple[str, list[str]]:
    """What was done about the signatures, in a sentence, and which are wrong."""
    if not checkpoints:
        return "There are none to check, as no checkpoint was given.", []
    if not key:
        return "NOT checked, for no public key was given (--key).", []
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return "NOT checked, for the package cryptography is not installed here.", []
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
    except ValueError:
        raise Unreadable(
            "--key is no public key: give what `gatehouse audit key` printed as the public part."
        ) from None
    problems = []
    for checkpoint in checkpoints:
        try:
            public.verify(base64.b64decode(checkpoint.signature, validate=True), checkpoint.signed())
        except (ValueError, InvalidSignature):
            problems.append(f"the checkpoint of {checkpoint.at} about entry {checkpoint.seq} is not signed by this key")
    return f"checked, {len(checkpoints) - len(problems)} of {len(checkpoints)} are of this key.", problems


# -- the command --------------------------------------------------------------------------------------------------


def main(words: Sequence[str] | None = None) -> int:
    """Check, and say in words what was checked and what was not."""
    parser = argparse.ArgumentParser(prog="gatehouse_verify.py", description="Checks a Gatehouse record.")
    parser.add_argument("record", type=Path, help="a SQLite database, or an export as JSON lines")
    parser.add_argument("--checkpoint", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
                        help="lines that were sent outside while the bot ran")  # fmt: skip
    parser.add_argument("--key", default="", help="the public key of the checkpoints, in base64")
    parser.add_argument("--part", action="store_true", help="the export does not begin at entry 1, on purpose")
    given = parser.parse_args(words)
    try:
        checkpoints = [found for path in given.checkpoint for found in checkpoints_of(path)]
        signed, unsigned = signatures(checkpoints, given.key)
        found = verify_file(given.record, checkpoints, part=given.part)
    except Unreadable as why:
        print(why, file=sys.stderr)
        return 2
    found.problems += unsigned
    for problem in found.problems[:SAID]:
        print(problem, file=sys.stderr)
    if len(found.problems) > SAID:
        print(f"and {len(found.problems) - SAID} more like these", file=sys.stderr)
    for line in report(found, checkpoints, signed):
        print(line)
    return 0 if found.ok else 1


def report(found: Found, checkpoints: Sequence[Checkpoint], signed: str) -> Iterator[str]:
    """What was checked, what was not, and what came of it."""
    behind = f" from {found.first}" if found.first > 1 else ""
    erased = f", {found.erased} texts erased" if found.erased else ""
    yield f"Chain: {found.entries} entries{behind}{erased}, head {found.head}."
    if checkpoints:
        newest = max(checkpoints, key=lambda checkpoint: checkpoint.seq)
        rest = max(0, found.last - newest.seq)
        yield (
            f"Checkpoints: compared with {len(checkpoints)} of {newest.organization}, the newest about entry "
            f"{newest.seq} of {newest.at}; the {rest} entries behind it rest on the chain alone."
        )
    else:
        yield "Checkpoints: none was given, so a cut end and a record that was rewritten as a whole can't be seen."
    yield f"Signatures: {signed}"
    yield "WHOLE." if found.ok else "NOT WHOLE."


if __name__ == "__main__":
    raise SystemExit(main())
