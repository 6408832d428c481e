"""The stand-alone verifier, alone: chains made by hand here, and not one import of Gatehouse."""

import ast
import base64
import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = Path(__file__).parents[2] / "approvals" / "gatehouse_verify.py"
Entry = dict[str, Any]


def digest(salt: str, text: str) -> str:
    return hashlib.sha256(salt.encode() + b"\x00" + text.encode()).hexdigest()


def hashed(prev: str, seq: int, body: str) -> str:
    """The documented formula, written down once more."""
    raw = body.encode()
    before = b"gatehouse-audit-v1\x00" + prev.encode() + seq.to_bytes(8, "big") + len(raw).to_bytes(8, "big")
    return hashlib.sha256(before + raw).hexdigest()


def chain(count: int) -> list[Entry]:
    entries: list[Entry] = []
    prev = "0" * 64
    for seq in range(1, count + 1):
        details = {"reason": {"salt": f"s{seq}", "text": f"because of “{seq}”"}} if seq % 2 else {}
        request = f"REQ-{seq}" if seq % 3 else None
        body = json.dumps(
            {
                "actor": "712020:ada", "at": "2026-11-23T08:00:00.000000+00:00", "data": {"n": seq},
                "details": {name: digest(**kept) for name, kept in details.items()}, "event": "noted",
                "request": request,
            },
            separators=(",", ":"), ensure_ascii=False,
        )  # fmt: skip
        entry = {"seq": seq, "prev": prev, "hash": hashed(prev, seq, body), "body": body}
        entries.append({**entry, "event": "noted", "request": request, "details": details})
        prev = entry["hash"]
    return entries


def export(folder: Path, entries: list[Entry]) -> str:
    path = folder / "record.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return str(path)


def said(folder: Path, *entries: Entry, key: Ed25519PrivateKey | None = None, name: str = "said.log") -> str:
    """Lines as the log has them: among others, with more in them than the checkpoint."""
    path = folder / name
    lines = ["an ordinary line", '{"event": "something else", "hash": 7}', "not json {", '{"hash": ']
    for entry in entries:
        checkpoint = {"organization": "harbour", "seq": entry["seq"], "hash": entry["hash"], "at": "2026-11-23 09:00"}
        signature = ""
        if key:
            raw = json.dumps(checkpoint, sort_keys=True, separators=(",", ":"))
            signature = base64.b64encode(key.sign(raw.encode())).decode()
        lines.append("app[web.1]: " + json.dumps({**checkpoint, "event": "checkpoint", "signature": signature}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def database(folder: Path, entries: list[Entry]) -> str:
    path = folder / "gatehouse.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE audit (seq INTEGER, prev TEXT, hash TEXT, body TEXT, event TEXT,"
                           " request_id TEXT)")  # fmt: skip
        connection.execute("CREATE TABLE audit_details (seq INTEGER, name TEXT, salt TEXT, text TEXT)")
        for entry in entries:
            columns = [entry[name] for name in ("seq", "prev", "hash", "body", "event", "request")]
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", columns)
            for name, kept in entry["details"].items():
                row = (entry["seq"], name, kept["salt"], kept["text"])
                connection.execute("INSERT INTO audit_details VALUES (?, ?, ?, ?)", row)
        connection.commit()
    return str(path)


def run(*words: str, without: str = "") -> tuple[int, str, str]:
    """The file as somebody runs it, in a Python that sees no other folder (-I); ``without`` a package."""
    code = f"import sys, runpy; sys.modules['{without}'] = None; sys.argv = sys.argv[1:]; " if without else ""
    start = ["-c", f"{code}runpy.run_path(sys.argv[0], run_name='__main__')"] if without else []
    done = subprocess.run(
        [sys.executable, "-I", *start, str(FILE), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


# -- what it is -----------------------------------------------------------------------------------------------------


def test_it_needs_the_standard_library_only() -> None:
    """What is not of it is imported in one place, which does without."""
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    foreign = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        foreign += [(name, node.col_offset) for name in names if name.split(".")[0] not in sys.stdlib_module_names]
    assert {name.split(".")[0] for name, _ in foreign} == {"cryptography"}
    assert all(indent > 0 for _, indent in foreign)
    (guarded,) = [node for node in ast.walk(tree) if isinstance(node, ast.Try) and "cryptography" in ast.dump(node)
                  and any(isinstance(handler.type, ast.Name) and handler.type.id == "ImportError"
                          for handler in node.handlers)]  # fmt: skip
    assert len(guarded.body) == 2


# -- a whole record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [export, database])
def test_a_whole_record_is_whole_and_it_says_what_was_not_checked(
    tmp_path: Path, write: Callable[[Path, list[Entry]], str]
) -> None:
    entries = chain(7)
    status, out, err = run(write(tmp_path, entries))
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"Chain: 7 entries, head {entries[-1]['hash']}.",
        "Checkpoints: none was given, so a cut end and a record that was rewritten as a whole can't be seen.",
        "Signatures: There are none to check, as no checkpoint was given.",
        "WHOLE.",
    ]


@pytest.mark.parametrize("write", [export, database])
def test_a_record_that_grew_since_its_checkpoints_is_whole(
    tmp_path: Path, write: Callable[[Path, list[Entry]], str]
) -> None:
    entries = chain(9)
    status, out, _ = run(write(tmp_path, entries), "--checkpoint", said(tmp_path, entries[2], entries[5]))
    assert status == 0
    assert "compared with 2 of harbour, the newest about entry 6" in out
    assert "the 3 entries behind it rest on the chain alone" in out
    assert "Signatures: NOT checked, for no public key was given (--key)." in out


def test_one_entry_behind_the_checkpoint_is_one(tmp_path: Path) -> None:
    entries = chain(9)
    _, out, _ = run(export(tmp_path, entries), "--checkpoint", said(tmp_path, entries[7]))
    assert "the 1 entry behind it rests on the chain alone" in out


def test_an_erased_text_is_counted_and_no_tampering(tmp_path: Path) -> None:
    entries = chain(5)
    entries[2]["details"] = {}
    status, out, _ = run(export(tmp_path, entries))
    assert (status, "5 entries, 1 texts erased" in out) == (0, True)


def test_a_record_of_many_pages_is_read_to_its_end(tmp_path: Path) -> None:
    entries = chain(2500)
    assert "2500 entries" in run(database(tmp_path, entries))[1]


def test_a_long_record_is_walked_by_several_and_every_seam_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support.verifier import load

    verifier = load()
    monkeypatch.setattr(verifier, "WORTH", 10)
    monkeypatch.setattr(verifier.os, "cpu_count", lambda: 3)
    # the processes' own start is not what is tried here, and a test runner has threads, which no fork likes
    monkeypatch.setattr(verifier.multiprocessing, "Process", InTurn)
    entries = chain(30)
    record = database(tmp_path, entries)
    together = verifier._together(Path(record), [], [])
    assert together is not None
    assert (together.entries, together.head, together.first, together.last) == (30, entries[-1]["hash"], 1, 30)
    log = said(tmp_path, entries[9], entries[10], entries[29])
    assert verifier.main([record, "--checkpoint", log]) == 0
    for seq in range(1, 31):  # the seams are behind every second or third
        for forge in ("UPDATE audit SET body = body || ' ' WHERE seq = ?", "DELETE FROM audit WHERE seq = ?",
                      "UPDATE audit SET prev = hash WHERE seq = ?"):  # fmt: skip
            Path(record).unlink()
            database(tmp_path, entries)
            with closing(sqlite3.connect(record)) as connection:
                connection.execute(forge, [seq])
                connection.commit()
            assert verifier.main([record, "--checkpoint", log]) == 1, (seq, forge)
    Path(record).unlink()
    database(tmp_path, _rewritten(chain(30)))
    assert verifier.main([record]) == 0
    assert verifier.main([record, "--checkpoint", log]) == 1
    assert "the record was rewritten" in capsys.readouterr().err


class InTurn:
    """As a process, in this one: done when it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.act, self.args = target, args

    def start(self) -> None:
        self.act(*self.args)

    def join(self) -> None:
        """It is over."""


def test_where_a_process_dies_the_record_is_walked_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.verifier import load

    verifier = load()
    monkeypatch.setattr(verifier, "WORTH", 10)
    monkeypatch.setattr(verifier.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(verifier.multiprocessing, "Process", Dying)
    record = Path(database(tmp_path, chain(30)))
    assert verifier._together(record, [], []) is None
    assert (verifier.verify_file(record).ok, verifier.verify_file(record).entries) == (True, 30)


class Dying(InTurn):
    """As a process that is killed when it has taken a stretch."""

    def start(self) -> None:
        there, *_, turn = self.args
        turn.value += 1
        there.close()


def test_by_processes_of_its_own_it_finds_the_same(tmp_path: Path) -> None:
    entries = chain(21_000)
    record = database(tmp_path, entries)
    log = said(tmp_path, entries[-1])
    status, out, err = run(record, "--checkpoint", log)
    assert (status, err, "21000 entries" in out) == (0, "", True)


def test_an_extract_is_taken_for_whole_only_when_it_is_said_to_be_one(tmp_path: Path) -> None:
    entries = chain(9)
    record, log = export(tmp_path, entries[3:]), said(tmp_path, entries[1], entries[6])
    status, _, err = run(record, "--checkpoint", log)
    assert (status, "entry 1 is missing" in err) == (1, True)
    assert run(record, "--checkpoint", log, "--part")[0] == 0


# -- a record that is not ---------------------------------------------------------------------------------------------


def _rewritten(entries: list[Entry]) -> list[Entry]:
    prev = "0" * 64
    for entry in entries:
        entry["body"] = entry["body"].replace("ada", "eve")
        entry["prev"], entry["hash"] = prev, hashed(prev, entry["seq"], entry["body"])
        prev = entry["hash"]
    return entries


SEEN_OUTSIDE_ONLY = {
    "the end was cut off": (lambda entries: entries[:4], "the record ends at entry 4"),
    "all of it was cut off": (lambda entries: [], "the record ends at entry 0"),
    "all of it was rewritten": (_rewritten, "the record was rewritten"),
}


@pytest.mark.parametrize("write", [export, database])
@pytest.mark.parametrize("what", SEEN_OUTSIDE_ONLY)
def test_what_a_chain_can_not_know_is_seen_with_a_checkpoint(
    tmp_path: Path, what: str, write: Callable[[Path, list[Entry]], str]
) -> None:
    forge, sentence = SEEN_OUTSIDE_ONLY[what]
    log = said(tmp_path, chain(7)[4])
    record = write(tmp_path, forge(chain(7)))
    assert run(record)[0] == 0
    status, out, err = run(record, "--checkpoint", log)
    assert (status, out.splitlines()[-1], sentence in err) == (1, "NOT WHOLE.", True)


def test_every_kind_of_problem_is_a_sentence(tmp_path: Path) -> None:
    entries = chain(9)
    entries[1]["body"] += " "
    entries[4]["details"]["reason"]["text"] = "because of nothing"
    entries[6]["details"]["approver"] = {"salt": "s", "text": "the chief"}
    entries[7]["event"] = "approved"
    del entries[3]
    status, _, err = run(export(tmp_path, entries))
    assert status == 1
    assert err.splitlines() == [
        "entry 2 was changed after it was written",
        "entry 4 is missing: the next one is 5",
        "entry 5 does not follow the one before it",
        "the reason of entry 5 was changed after it was written",
        "the approver of entry 7 was added to it",
        "the index of entry 8 was changed: it is noted of REQ-8",
    ]


def test_a_text_of_no_entry_is_named(tmp_path: Path) -> None:
    record = database(tmp_path, chain(3))
    with closing(sqlite3.connect(record)) as connection:
        connection.execute("INSERT INTO audit_details VALUES (4, 'reason', 's', 'left over')")
        connection.commit()
    status, _, err = run(record)
    assert (status, err) == (1, "there are texts of entry 4, which is not there\n")


# -- signatures -------------------------------------------------------------------------------------------------------


def test_signatures_are_checked_where_they_can_be_and_it_says_so(tmp_path: Path) -> None:
    key, other, entries = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), chain(5)
    record, log = export(tmp_path, entries), said(tmp_path, entries[1], entries[4], key=key)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    status, out, _ = run(record, "--checkpoint", log, "--key", public)
    assert (status, "Signatures: checked, 2 of 2 are of this key." in out) == (0, True)
    forged = said(tmp_path, entries[2], key=other, name="forged.log")
    unsigned = said(tmp_path, entries[2], name="unsigned.log")
    for false in (forged, unsigned):
        status, out, err = run(record, "--checkpoint", log, false, "--key", public)
        assert (status, "checked, 2 of 3 are of this key." in out) == (1, True)
        assert "about entry 3 is not signed by this key" in err
    status, out, _ = run(record, "--checkpoint", log, "--key", public, without="cryptography")
    assert (status, "NOT checked, for the package cryptography is not installed here." in out) == (0, True)


# -- what can't be checked --------------------------------------------------------------------------------------------


def test_what_can_not_be_read_is_a_sentence_and_no_verdict(tmp_path: Path) -> None:
    record = export(tmp_path, chain(2))
    empty, garbage, foreign = tmp_path / "empty.log", tmp_path / "garbage", tmp_path / "foreign.db"
    empty.write_text("no checkpoint\n")
    garbage.write_bytes(b"\xff\x00\n{}\n")
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (x)")
    for words, why in (
        (["nowhere.db"], "can't be read"),
        ([str(tmp_path)], "can't be read"),
        ([str(garbage)], "line 1 of"),
        ([str(foreign)], "can't be read as a record"),
        ([record, "--checkpoint", str(empty)], "has no checkpoint in it"),
        ([record, "--checkpoint", "nowhere.log"], "can't be read"),
        ([record, "--checkpoint", said(tmp_path, *chain(2)), "--key", "QUJD"], "--key is no public key"),
    ):
        status, out, err = run(*words)
        assert (status, out) == (2, ""), words
        assert why in err


@pytest.mark.parametrize("field", ["seq", "prev", "hash", "body", "event", "request", "details"])
@pytest.mark.parametrize(
    "value", [None, -1, True, 2.5, "\ud800", [], {}, {"a": 1}, {"a": {"salt": "\ud800", "text": 1}}]
)
def test_no_value_in_an_export_makes_it_fall_over_or_pass(tmp_path: Path, field: str, value: object) -> None:
    """In this process, as there are many: whatever stands there, it is a problem or a refusal to judge."""
    from tests.support.verifier import load

    entries = chain(3)
    entries[1][field] = value
    if field == "request" and value is None:
        entries[1]["event"] = "other"
    if field == "details" and value == {}:
        entries[1]["details"] = {"a": {"salt": 1, "text": 2}}
    assert load().main([export(tmp_path, entries)]) in (1, 2)
