"""People from a file: each mistake is a sentence with its line, each difference is printed, nobody is moved unasked."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from approvals import bindings as bindings_of
from approvals import people
from approvals.bindings import PROBATION
from approvals.bulk_rows import managers_of
from approvals.models import AuditDetail, AuditEntry, Binding, News, Person
from approvals.store import Actor, Store
from bot.people_import import BadFile, Difference, apply, read_csv
from bot.sandbox import seed

HEAD = "slack_user,account_id,email,manager_email,name\n"
GRACE = "T0A/U0GRACE,712020:grace,grace@x.example,,Grace Okafor\n"
ADA = "T0A/U0ADA,712020:ada,ada@x.example,grace@x.example,Ada Ferreira\n"
WHOEVER = Actor("test")


def load(store: Store, rows: str, *, move: bool = False, dry: bool = False) -> Difference:
    return apply(store, read_csv(HEAD + rows), actor=WHOEVER, move=move, dry=dry)


def sentences(text: str) -> list[str]:
    with pytest.raises(BadFile) as bad:
        read_csv(text)
    return bad.value.sentences


def bindings(store: Store) -> dict[str, str]:
    with store.read() as session:
        return {f"{row.team}/{row.user}": row.account for row in session.exec(select(Binding))}


def votes_from(store: Store, user: str) -> datetime:
    with store.read() as session:
        return session.exec(select(Binding.votes_from).where(Binding.user == user)).one()


# -- reading --------------------------------------------------------------------------------------------------------


def test_a_good_file_is_read() -> None:
    grace, ada = read_csv(HEAD + GRACE + ADA)
    assert (ada.number, ada.team, ada.user, ada.account) == (3, "T0A", "U0ADA", "712020:ada")
    assert (ada.mail, ada.manager_mail, ada.name) == ("ada@x.example", "grace@x.example", "Ada Ferreira")
    assert grace.manager_mail == ""


def test_the_seeded_company_can_be_read() -> None:
    assert len(read_csv(seed.people_csv())) > 190


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEAD + GRACE,
        (HEAD + GRACE).replace("\n", "\r\n"),
        HEAD + "\n\n" + GRACE,
        HEAD + GRACE.rstrip("\n"),
        "name,email,account_id,manager_email,slack_user\nGrace Okafor,grace@x.example,712020:grace,,T0A/U0GRACE\n",
        HEAD.replace("name", "name,office") + GRACE.replace("\n", ",Berlin\n"),
        HEAD + GRACE.replace("grace@x.example", "  Grace@X.example "),
        "slack_user,account_id,email,manager_email\nT0A/U0GRACE,712020:grace,grace@x.example,\n",
        HEAD + 'T0A/U0GRACE,712020:grace,grace@x.example,,"Okafor, Grace"\n',
    ],
    ids=["bom", "windows", "blank lines", "no end", "another order", "another column", "spaces", "no name", "quotes"],
)
def test_files_as_spreadsheets_write_them_are_read(text: str) -> None:
    (line,) = read_csv(text)
    assert (line.user, line.account, line.mail) == ("U0GRACE", "712020:grace", "grace@x.example")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("U0GRACE,712020:grace,grace@x.example,,\n", "Line 2: `U0GRACE` is not a Slack user"),
        ("t0a/u0grace,712020:grace,grace@x.example,,\n", "Line 2: `t0a/u0grace` is not a Slack user"),
        ("T0A/U0GRACE,../x,grace@x.example,,\n", "Line 2: `../x` is not an Atlassian account id."),
        ("T0A/U0GRACE,,grace@x.example,,\n", "Line 2: `` is not an Atlassian account id."),
        ("T0A/U0GRACE,712020:grace,grace,,\n", "Line 2: `grace` is not an e-mail address."),
        ("T0A/U0GRACE\n", "Line 2: `` is not an Atlassian account id."),
        ("T0A/U0GRACE,712020:grace,grace@x.example,,Okafor, Grace\n", "Line 2: it has more cells than line 1"),
        (GRACE + "\n\nbad,712020:x,x@x.example,,\n", "Line 5: `bad` is not a Slack user"),
        (GRACE + GRACE.replace(":grace", ":b").replace("grace@", "b@"), "Line 3: T0A/U0GRACE stands on line 2"),
        (GRACE + GRACE.replace("U0GRACE", "U0B").replace("grace@", "b@"), "Line 3: 712020:grace stands on line 2"),
        (GRACE + GRACE.replace("U0GRACE", "U0B").replace(":grace", ":b"), "Line 3: grace@x.example stands on line 2"),
        (ADA, "Line 2: the manager grace@x.example has no line of their own."),
        (GRACE.replace(",,", ",grace@x.example,"), "Line 2: grace@x.example can't be their own manager."),
        ('T0A/U0GRACE,712020:grace,grace@x.example,,"never closed\n', "Line 2: it can't be read as CSV"),
        ('T0A/U0GRACE,712020:grace,grace@x.example,,' + "x" * 200_000 + "\n", "Line 2: it can't be read as CSV"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_with_its_line(rows: str, expected: str) -> None:
    found = sentences(HEAD + rows)
    assert any(sentence.startswith(expected) for sentence in found), found


def test_all_mistakes_are_told_at_once() -> None:
    assert len(sentences(HEAD + "bad,712020:a,a@x,,\nT0A/U0B,!,b@x,,\nT0A/U0C,712020:c,c,,\n")) == 3


@pytest.mark.parametrize("text", ["", "\n", "a,b,c\n", HEAD.replace("manager_email", "boss") + GRACE])
def test_a_column_that_is_missing_is_named(text: str) -> None:
    (sentence,) = sentences(text)
    assert "manager_email" in sentence
    assert "is missing" in sentence


def test_a_column_that_is_there_twice_is_named() -> None:
    (sentence,) = sentences(HEAD.replace("name", "email") + GRACE)
    assert sentence.endswith("email is there twice.")


# -- writing --------------------------------------------------------------------------------------------------------


def test_the_first_import_binds_everybody_at_once(store: Store) -> None:
    found = load(store, GRACE + ADA)
    assert bindings(store) == {"T0A/U0GRACE": "712020:grace", "T0A/U0ADA": "712020:ada"}
    assert votes_from(store, "U0GRACE") <= datetime.now(UTC)
    assert (len(found.added), found.changed, found.moved) == (2, [], [])
    with store.read() as session:
        ada = session.get(Person, "712020:ada")
    assert ada is not None
    assert (ada.name, ada.mail, ada.manager) == ("Ada Ferreira", "ada@x.example", "712020:grace")


def test_a_later_binding_counts_a_day_later(store: Store) -> None:
    load(store, GRACE)
    load(store, GRACE + ADA)
    assert votes_from(store, "U0GRACE") <= datetime.now(UTC)
    assert votes_from(store, "U0ADA") > datetime.now(UTC) + PROBATION - timedelta(minutes=5)


MEI = "T0A/U0MEI,712020:mei,mei@x.example,,Mei Tanaka\n"
FILE_ONLY = SimpleNamespace(manager_sources=("file",), manager_map={})
WITH_MAP = SimpleNamespace(manager_sources=("file", "map"), manager_map={"712020:ada": "712020:mei"})


def manager_of_ada(store: Store, after: timedelta, policy: Any = FILE_ONLY) -> str | None:
    """By both ways to ask for it, which say the same."""
    with store.read() as session:
        at = store.time_in(session) + after
        one = people.manager_of(session, policy, "712020:ada", at)
        assert managers_of(session, policy, {"712020:ada"}, at) == ({"712020:ada": one} if one else {})
    return one


def told(store: Store) -> str:
    with store.read() as session:
        return " ".join(str(json.loads(one.facts)["did"]) for one in session.exec(select(News).order_by(News.id))
                        if one.kind == "shell_act")  # fmt: skip


def test_the_managers_of_the_first_import_count_at_once(store: Store) -> None:
    load(store, GRACE + ADA)
    assert manager_of_ada(store, timedelta(0)) == "712020:grace"
    assert told(store) == ""


@pytest.mark.parametrize("policy", [FILE_ONLY, WITH_MAP], ids=["the file alone", "a map after it"])
def test_a_later_manager_counts_a_day_later_and_nobody_meanwhile(store: Store, policy: Any) -> None:
    load(store, GRACE + MEI + ADA)
    load(store, GRACE + MEI + ADA.replace("grace@", "mei@"))
    assert manager_of_ada(store, timedelta(0), policy) is None
    assert manager_of_ada(store, PROBATION - timedelta(minutes=5), policy) is None
    assert manager_of_ada(store, PROBATION, policy) == "712020:mei"
    assert "1 line differs" in told(store)
    assert "the manager of Ada Ferreira was Grace Okafor, and is Mei Tanaka from " in told(store)


def test_there_and_back_again_counts_a_day_after_the_last(store: Store) -> None:
    load(store, GRACE + MEI + ADA)
    load(store, GRACE + MEI + ADA.replace("grace@", "mei@"))
    load(store, GRACE + MEI + ADA)
    assert manager_of_ada(store, timedelta(0)) is None
    assert manager_of_ada(store, PROBATION) == "712020:grace"


def test_who_is_new_in_a_later_import_has_a_manager_a_day_later(store: Store) -> None:
    load(store, GRACE)
    load(store, GRACE + ADA)
    assert manager_of_ada(store, timedelta(0)) is None
    assert manager_of_ada(store, PROBATION) == "712020:grace"


def test_the_same_file_twice_changes_nothing(store: Store) -> None:
    load(store, GRACE + ADA)
    before = votes_from(store, "U0ADA")
    found = load(store, GRACE + ADA)
    assert (found.added, found.changed, found.moved, found.same) == ([], [], [], 2)
    assert votes_from(store, "U0ADA") == before


def test_another_manager_is_a_difference(store: Store) -> None:
    load(store, GRACE + ADA)
    found = load(store, GRACE + ADA.replace("grace@x.example", ""))
    assert found.changed == ["ada@x.example: manager grace@x.example becomes none"]


def test_another_mail_is_a_difference(store: Store) -> None:
    load(store, GRACE)
    found = load(store, GRACE.replace("grace@", "g.okafor@"))
    assert "mail was grace@x.example" in found.changed[0]


@pytest.mark.parametrize(
    "rows",
    [GRACE.replace("U0GRACE", "U0NEW"), GRACE.replace("712020:grace", "712020:new").replace("grace@", "new@")],
    ids=["the account to another Slack user", "the Slack user to another account"],
)
def test_nothing_is_moved_unless_it_is_asked_for(store: Store, rows: str) -> None:
    load(store, GRACE)
    found = load(store, rows)
    assert len(found.moved) == 1
    assert "was bound to 712020:grace" in found.moved[0]
    assert bindings(store) == {"T0A/U0GRACE": "712020:grace"}
    load(store, rows, move=True)
    (moved,) = bindings(store)
    assert bindings(store) != {"T0A/U0GRACE": "712020:grace"}
    assert votes_from(store, moved.partition("/")[2]) > datetime.now(UTC) + PROBATION - timedelta(minutes=5)


def match(store: Store, user: str, account: str, mail: str) -> None:
    with store.write() as w:
        bindings_of.bind(w, "T0A", user, account, how="match", actor=WHOEVER, confirmed=False, mail=mail)


def row_of(store: Store, user: str) -> Binding:
    with store.read() as session:
        return session.get_one(Binding, ("T0A", user))


def test_whoever_was_matched_is_confirmed_by_a_line_that_says_the_same(store: Store) -> None:
    load(store, GRACE)
    match(store, "U0ADA", "712020:ada", "ada@x.example")
    rehearsed = load(store, GRACE + ADA, dry=True)
    assert not row_of(store, "U0ADA").confirmed
    found = load(store, GRACE + ADA)
    assert found.changed == rehearsed.changed == ["ada@x.example: the binding of T0A/U0ADA is confirmed"]
    ada = row_of(store, "U0ADA")
    assert (ada.confirmed, ada.how) == (True, "import")
    assert votes_from(store, "U0ADA") > datetime.now(UTC) + PROBATION - timedelta(minutes=5)
    assert load(store, GRACE + ADA).changed == []
    assert row_of(store, "U0ADA").votes_from == ada.votes_from
    with store.read() as session:
        assert len(session.exec(select(AuditEntry).where(AuditEntry.event == "person.confirmed")).all()) == 1


def test_two_people_can_change_places(store: Store) -> None:
    load(store, GRACE + ADA)
    swapped = GRACE.replace("U0GRACE", "U0ADA") + ADA.replace("U0ADA", "U0GRACE")
    load(store, swapped, move=True)
    assert bindings(store) == {"T0A/U0ADA": "712020:grace", "T0A/U0GRACE": "712020:ada"}


def test_a_rehearsal_prints_everything_and_changes_nothing(store: Store) -> None:
    found = load(store, GRACE + ADA, dry=True)
    assert len(found.added) == 2
    assert bindings(store) == {}
    with store.read() as session:
        assert session.exec(select(Person)).all() == []
        assert session.exec(select(AuditEntry)).all() == []


def test_an_import_is_in_the_record_and_names_stay_out_of_the_chain(store: Store) -> None:
    load(store, GRACE + ADA)
    with store.read() as session:
        bodies = "".join(session.exec(select(AuditEntry.body)).all())
        details = "".join(session.exec(select(AuditDetail.text)).all())
    assert "person.bound" in bodies
    assert "people.imported" in bodies
    assert "@x.example" not in bodies
    assert "ada@x.example" in details
    assert store.verify().ok


@pytest.mark.parametrize("name", ["nul\x00byte", "\u202eevil", "a" * 5000])
def test_a_strange_name_is_made_harmless(store: Store, name: str) -> None:
    load(store, GRACE.replace("Grace Okafor", name))
    with store.read() as session:
        person = session.get(Person, "712020:grace")
    assert person is not None
    assert 0 < len(person.name) <= 300
    assert not set(person.name) & set("\x00\u202e")
