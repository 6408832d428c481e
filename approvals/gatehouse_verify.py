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
import hashlib
import json
import multiprocessing
import os
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise, repeat
from pathlib import Path
from typing import Any, NamedTuple

DOMAIN = b"gatehouse-audit-v1\0"
GENESIS = "0" * 64
PAGE = 500  # entries a read, so that a bot that is running is never held up
WORTH = 20_000  # entries from which on several processes are worth their start
STRETCHES = 16  # for each of them: who is done with one takes the next one
SAID = 50  # problems that are printed; the count says the rest
SQLITE = b"SQLite format 3\0"
SIGNED = ("organization", "seq", "hash", "at")

Entry = tuple[int, str, str, bytes, str, "str | None"]  # seq, prev, hash, body, event, request
Text = tuple[int, str, str, str]  # the entry beside which it lies, name, salt, text
Page = tuple[Sequence[Entry], Sequence[Text]]  # entries in order, and their texts by entry and name
Ask = Callable[[str, Mapping[str, Any]], Sequence[Any]]  # a statement and its values; all of its rows


class Joined(NamedTuple):
    """A page whose columns SQLite has joined, and what reads the same page by rows.

    Making an object of each value, or putting values together in SQL, takes longer than hashing them. What stands
    between two values stands in none of them where the pieces are as many as the values.
    """

    first: int
    entries: int  # their numbers go on from the first
    prevs: str
    hashes: str
    bodies: bytes
    events: str
    requests: str
    beside: Sequence[Any]  # how many texts; of which entries, their names, salts and texts
    rows: Callable[[], Iterator[Page]]


HEAD, TAIL = '"details":{},"event":"', '","request":'  # how a body ends: HEAD event TAIL "request"}, or TAIL null}
NONE = "\0"  # stands for no request
MARK = "\x1e"  # between two texts

_numbered = struct.Struct(">QQ").pack
_digest = type(hashlib.sha256()).digest


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


def verify(pages: Iterable[Page | Joined], checkpoints: Iterable[Checkpoint] = (), *, part: bool = False) -> Found:
    """Walk the chain from its first entry, and hold it against what was said about it outside.

    ``part``: the record is an extract, which may begin anywhere; what is before it is not looked at.
    """
    found = Found()
    said: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        said.setdefault(checkpoint.seq, []).append(checkpoint)
    for page in pages:
        if isinstance(page, Joined):
            if found.entries == 0:
                _begin(page.first, page.prevs.partition(",")[0], found, part)
            if _is_whole(page, said, found):
                continue
        for entries, texts in page.rows() if isinstance(page, Joined) else (page,):
            if found.entries == 0:
                _begin(entries[0][0], entries[0][1], found, part)
            _look_beside([entry for entry in entries if _walk(entry, found)], texts, found)
            _compare({entry[0]: entry[2] for entry in entries}, said, found)
    for seq, missed in sorted(said.items()):
        if found.last < seq:
            found.problems.append(
                f"the record ends at entry {found.last}, but the checkpoint of {missed[0].at} saw entry {seq}: "
                "its end was cut off"
            )
        elif not part or found.first <= seq:
            found.problems.append(f"entry {seq}, which the checkpoint of {missed[0].at} saw, is not there")
    return found


def _begin(seq: int, prev: str, found: Found, part: bool) -> None:
    found.first, found.before = seq, prev
    if part and seq != 1:
        found.head, found.last = prev, seq - 1


def _is_whole(page: Joined, said: dict[int, list[Checkpoint]], found: Found) -> bool:
    """Whether everything about a page is as it must be, with the loops in C.

    It only says that all is well, and then counts the page; where anything is not, rows are read, which names it.
    """
    bodies = page.bodies.split(b"\n")
    numbers = range(page.first, page.first + page.entries)
    prevs = page.prevs.encode().split(b",")
    parts = zip(repeat(DOMAIN), prevs, map(_numbered, numbers, map(len, bodies)), bodies)
    whole = (
        page.first == found.last + 1
        and len(bodies) == page.entries
        and f"{page.prevs},{page.hashes[-64:]}" == f"{found.head},{page.hashes}"
        and page.hashes == b"".join(map(_digest, map(hashlib.sha256, map(b"".join, parts)))).hex(",", 32)
        and _end_as_they_must(page, bodies)
    )
    if whole:
        found.entries += page.entries
        found.last, found.head = numbers[-1], page.hashes[-64:]
        _compare({seq: page.hashes[(seq - page.first) * 65 :][:64] for seq in said if seq in numbers}, said, found)
    return whole


def _end_as_they_must(page: Joined, bodies: Sequence[bytes]) -> bool:
    """Whether each body ends with its texts' digests and the columns it is found by: its keys are in order."""
    heads = f"{HEAD}{page.events}{TAIL}".encode().split(b"\n")
    tails = f'"{page.requests}"}}'.replace(f'"{NONE}"', "null").encode().split(b"\n")
    if not len(heads) == len(tails) == page.entries:
        return False
    count, *joined = page.beside
    if count:
        entries, names, salts, texts = (column.split(MARK) for column in joined)
        if not count == len(entries) == len(names) == len(salts) == len(texts):
            return False
        digests: dict[int, str] = {}
        for seq, name, salt, text in zip(map(int, entries), names, salts, texts):  # noqa: B905
            one = f'"{name}":"{digest(salt, text)}"'
            digests[seq] = f"{digests[seq]},{one}" if seq in digests else one
        for seq, of_it in digests.items():
            heads[seq - page.first] = heads[seq - page.first].replace(b"{}", b"{%b}" % of_it.encode(), 1)
    return all(map(bytes.endswith, bodies, map(bytes.__add__, heads, tails)))


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


def _compare(hashes: Mapping[int, str], said: dict[int, list[Checkpoint]], found: Found) -> None:
    """A page with what was said outside about its entries."""
    for seq in sorted(said.keys() & hashes.keys()):
        found.problems += [
            f"entry {seq} is not the one the checkpoint of {checkpoint.at} saw: the record was rewritten"
            for checkpoint in said.pop(seq)
            if checkpoint.hash != hashes[seq]
        ]


# -- the record ---------------------------------------------------------------------------------------------------


def pages_of(path: Path, lost: list[str]) -> Iterator[Page | Joined]:
    """The pages of a SQLite file or an export, in order; what belongs to no entry is named in ``lost``."""
    try:
        with path.open("rb") as file:
            kind = file.read(len(SQLITE))
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror}.") from None
    return _of_sqlite(path, lost) if kind == SQLITE else _of_export(path)


def _of_sqlite(path: Path, lost: list[str]) -> Iterator[Page | Joined]:
    try:
        connection = _opened(path)
        try:
            ask = asking(connection)
            yield from joined(ask)
            lost += texts_of_nobody(ask)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Unreadable(f"{path} can't be read as a record: {error}.") from None


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def asking(connection: sqlite3.Connection) -> Ask:
    """Each statement on its own, and read to its end at once: nobody who writes waits for longer than that."""
    return lambda statement, values: connection.execute(statement, values).fetchall()


def pages(
    ask: Ask, after: float | None = None, last: int | None = None, *, bytes_of: str = "CAST(body AS BLOB)"
) -> Iterator[Page]:
    """The entries behind ``after``, as far as ``last``; None: all there are. ``bytes_of``: how to ask for a body's.

    No number is shared out between two pages: where the table has no key any more, it may be there twice, or be NULL.
    """
    read = f"SELECT seq, prev, hash, {bytes_of}, event, request_id FROM audit "
    beside = "SELECT seq, name, salt, text FROM audit_details WHERE seq BETWEEN :first AND :last ORDER BY seq, name"
    while True:
        where = " AND ".join([*(["seq > :after"] if after is not None else []), *(["seq <= :last"] if last else [])])
        where = f"WHERE {where} " if where else ""
        of = {"after": after, "last": last}
        entries = ask(f"{read}{where}ORDER BY seq LIMIT {PAGE}", {name: of[name] for name in of if f":{name}" in where})
        if not entries:
            return
        newest = entries[-1][0]
        if len(entries) == PAGE:
            same, known = ("seq IS NULL", {}) if newest is None else ("seq = :seq", {"seq": newest})
            entries = [*(entry for entry in entries if entry[0] != newest), *ask(f"{read}WHERE {same}", known)]
        yield entries, ask(beside, {"first": entries[0][0], "last": newest})
        after = float("-inf") if newest is None else newest


def joined(ask: Ask, after: int = 0, last: int | None = None) -> Iterator[Page | Joined]:
    """The same entries of a SQLite file, by pages that are joined; by rows from where their numbers don't go on."""
    between = {"none": NONE, "event": f"{TAIL}\n{HEAD}", "request": '"}\n"'}
    whole = after > 0 or not _strange(ask)
    while whole:
        first, to = after + 1, after + PAGE if last is None else min(after + PAGE, last)
        ((seqs, prevs, hashes, bodies, events, requests),) = ask(JOINED, {"after": after, "last": to, **between})
        numbers = ",".join(map(str, range(first, to + 1)))
        if not seqs or not f"{numbers},".startswith(f"{seqs},"):
            break
        count = seqs.count(",") + 1
        (beside,) = ask(JOINED_BESIDE, {"first": first, "last": after + count, "mark": MARK})
        rows = partial(pages, ask, after, after + count)
        yield Joined(first, count, prevs, hashes, bodies, events, requests, beside, rows)
        after += count
    yield from pages(ask, after or None, last)


def _strange(ask: Ask) -> bool:
    """Whether there are entries in front of the first one."""
    ((strange,),) = ask("SELECT EXISTS (SELECT 1 FROM audit WHERE seq < 1 OR seq IS NULL)", {})
    return bool(strange)


# What is no text is left out, and missed when the pieces are counted: a text is less than any blob, and NULL is not.
JOINED = """
    SELECT group_concat(seq), group_concat(prev), group_concat(hash), CAST(group_concat(body, char(10)) AS BLOB),
        group_concat(event, :event), group_concat(ifnull(request_id, :none), :request)
    FROM audit
    WHERE seq > :after AND seq <= :last AND prev < x'' AND hash < x'' AND body < x'' AND event < x''
        AND (request_id IS NULL OR request_id < x'' AND request_id <> :none)
"""
JOINED_BESIDE = """
    SELECT count(*), group_concat(CAST(seq AS INTEGER), :mark), group_concat(name, :mark), group_concat(salt, :mark),
        group_concat(text, :mark)
    FROM audit_details
    WHERE seq BETWEEN :first AND :last AND seq = CAST(seq AS INTEGER) AND name < x'' AND salt < x'' AND text < x''
"""


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
            if _strange(asking(connection)):
                return None
            ends = [newest * n // (workers * STRETCHES) for n in range(workers * STRETCHES + 1)]
            parts = [(after, end) for after, end in pairwise(ends) if after < end]
            walked = _walked(path, parts, list(checkpoints), workers)
            lost += texts_of_nobody(asking(connection))
        finally:
            connection.close()
    except (OSError, sqlite3.Error):
        return None
    whole = Found()
    for one in walked:
        if one is None or one.problems or (one.first, one.before) != (whole.last + 1, whole.head):
            lost.clear()
            return None
        whole.first = whole.first or one.first
        whole.entries, whole.erased = whole.entries + one.entries, whole.erased + one.erased
        whole.head, whole.last = one.head, one.last
    return whole


def _walked(
    path: Path, parts: Sequence[tuple[int, int]], checkpoints: list[Checkpoint], workers: int
) -> list[Found | None]:
    """Each stretch as this process and others have found it; None of one whose process has died."""
    found: list[Found | None] = [None] * len(parts)
    turn = multiprocessing.Value("i", 0)
    others = []
    for _ in range(workers - 1):
        here, there = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=_tell, args=(there, path, parts, checkpoints, turn))
        process.start()
        there.close()  # so that it is known when the process has died
        others.append((process, here))
    try:
        for number, one in _stretches(path, parts, checkpoints, turn):
            found[number] = one
    finally:
        for process, here in others:
            with suppress(EOFError):  # what it had taken stays None
                for number, one in here.recv():
                    found[number] = one
            process.join()
    return found


def _tell(there: Any, path: Path, parts: Sequence[tuple[int, int]], checkpoints: list[Checkpoint], turn: Any) -> None:
    with suppress(sqlite3.Error):  # whoever walks in order meets it too, and says so
        there.send(list(_stretches(path, parts, checkpoints, turn)))


def _stretches(
    path: Path, parts: Sequence[tuple[int, int]], checkpoints: list[Checkpoint], turn: Any
) -> Iterator[tuple[int, Found]]:
    """The stretches whose turn it is when this process is free; none any more when one is not whole."""
    connection = _opened(path)
    try:
        while True:
            with turn.get_lock():
                number, turn.value = turn.value, turn.value + 1
            if number >= len(parts):
                return
            after, last = parts[number]
            mine = [one for one in checkpoints if after < one.seq <= last]
            one = verify(joined(asking(connection), after, last), mine, part=after > 0)
            yield number, one
            if one.problems:
                turn.value = len(parts)
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
        rests = "entry behind it rests" if rest == 1 else "entries behind it rest"
        yield (
            f"Checkpoints: compared with {len(checkpoints)} of {newest.organization}, the newest about entry "
            f"{newest.seq} of {newest.at}; the {rest} {rests} on the chain alone."
        )
    else:
        yield "Checkpoints: none was given, so a cut end and a record that was rewritten as a whole can't be seen."
    yield f"Signatures: {signed}"
    yield "WHOLE." if found.ok else "NOT WHOLE."


if __name__ == "__main__":
    raise SystemExit(main())
