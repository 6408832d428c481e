"""A list in Slack, from the file that is handed in to the file that comes back, through signed payloads."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from approvals.bulk_rows import Line
from approvals.models import AccessRequest, BulkRow, Card, Grant
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.bot.settled import actions, settle
from tests.support.bulk import bulk_policy
from tests.support.living import Living, living

Json = dict[str, Any]
COMPANY = seed.company()
EU, DRILL = "eu-jira-admins", "breakglass-drill"
OURS = [p for p in COMPANY.people if p.directory is seed.OURS and p.slack_kind == "member" and p.state == ""]
FREE = [p for p in OURS if p.handle not in ("omar", "ingrid", "sade", "linnea", "mei", seed.EMERGENCY)]
HEAD = "person,action,entitlement,until,reason\n"


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url, policy=bulk_policy(), works=False) as bot:
        yield bot


def hand_in(
    bot: Living, content: str | bytes, who: str = "kofi", *, whole: bool = False, name: str = "list.csv",
    reason: str = "INC-42: many at once",
) -> Json:  # fmt: skip
    """Type the command, choose the file, send the form."""
    bot.slack.command(who, "bulk")
    view = bot.slack.open_view(who)
    assert view is not None
    file = bot.slack.attach(who, name, content)
    values: Json = {"file": {"file": [file]}, "reason": {"reason": reason}}
    if whole:
        values["options"] = {"options": ["all or nothing"]}
    answer = bot.slack.submit(who, view["id"], values)
    if bot.slack.open_view(who):
        bot.slack.close_view(who, all=True)
    settle(bot)
    return answer


def newest(bot: Living) -> AccessRequest:
    with bot.store.read() as session:
        found = session.exec(select(AccessRequest).order_by(col(AccessRequest.asked_at).desc())).first()
    assert found is not None
    return found


def rows(bot: Living, request: AccessRequest) -> list[BulkRow]:
    with bot.store.read() as session:
        return list(session.exec(select(BulkRow).where(BulkRow.request_id == request.id).order_by(col(BulkRow.number))))


def direct(bot: Living, who: str, request: AccessRequest) -> Json:
    found = [m for m in bot.slack.dms(who) if f"{request.id} · asked" in text_of(m)]
    assert found, [text_of(m) for m in bot.slack.dms(who)]
    return found[-1]


def told(bot: Living, who: str) -> list[str]:
    return [text_of(message) for message in bot.slack.dms(who)]


def approve(bot: Living, request: AccessRequest, *who: str, typed: str) -> None:
    for approver in who:
        card = direct(bot, approver, request)
        bot.slack.click(approver, "approve", ts=card["ts"], channel=card["channel"])
        view = bot.slack.open_view(approver)
        assert view is not None, approver
        answer = bot.slack.submit(approver, view["id"], {"name": {"name": typed}})
        assert answer["errors"] == {}
        settle(bot)


def after_the_pause(bot: Living, minutes: int = 6) -> None:
    bot.store.move_time(timedelta(minutes=minutes))
    settle(bot)


def thread(bot: Living, request: AccessRequest) -> list[Json]:
    (card,) = [m for m in bot.slack.channel("#security") if f"{request.id} · asked" in text_of(m)]
    return list(card["replies"])


def test_three_hundred_rows_from_the_file_to_the_file(bot: Living) -> None:
    wanted = FREE[:90]
    lines = [f"{person.email},grant,{EU},2h," for person in wanted]
    lines += [f"<@{person.slack_id}>,grant,{DRILL},2 days," for person in wanted]
    lines += [f"{person.account_id},grant,{EU},1h," for person in wanted]  # all of them twice
    lines += [f"nobody{number}@harbour.example,grant,{EU},2h," for number in range(28)]
    lines += [f"{COMPANY.person(seed.EMERGENCY).email},grant,{EU},2h,", "=cmd(),fire,,,"]
    assert len(lines) == 300
    answer = hand_in(bot, HEAD + "\n".join(lines))
    assert answer["errors"] == {}
    request = newest(bot)
    assert (request.status, len(rows(bot, request))) == ("pending", 300)
    assert f"{request.id} is written down, a list of 300 rows" in "\n".join(told(bot, "kofi"))
    card = direct(bot, "omar", request)
    said = text_of(card)
    assert "180 of 300 rows can be done, for 90 accounts: 180 × grant" in said
    assert "28 refused: nobody with an Atlassian account is known by that" in said
    assert "2 calls to Atlassian" in said
    assert f"{EU}: 1 member now, 91 then" in said
    assert {"approve", "deny", "status", "cancel", "bulk_rows"} <= actions(card)
    assert "Held until" not in said
    assert request.id not in "\n".join(text_of(m) for m in bot.slack.channel("#access-requests"))
    before = len(bot.atlassian.ledger())
    approve(bot, request, "omar", "sade", typed="90")
    after_the_pause(bot)
    now = newest(bot)
    assert now.status == "done"
    writes = [call for call in bot.atlassian.ledger(writes=True) if call["number"] > before]
    assert [call["method"] for call in writes] == ["PATCH", "PATCH"]
    assert {p.account_id for p in wanted} <= bot.atlassian.members(EU)
    assert {p.account_id for p in wanted} == bot.atlassian.members(DRILL)
    results_came(bot, now, len(lines))
    assert len([m for m in told(bot, wanted[0].handle) if "has asked for" in m]) == 1
    sees_what_is_theirs(bot, now, "tomas", stranger=FREE[90].handle)
    the_ends(bot, now, {p.account_id for p in wanted})


def sees_what_is_theirs(bot: Living, request: AccessRequest, who: str, *, stranger: str) -> None:
    """Whoever holds something by a list sees that, and nothing else of it; somebody else sees nothing at all."""
    typed = f"status {request.id}"
    said = str(bot.slack.command(who, typed, force=True)["body"])
    assert [said.count(f"`{what}` until") for what in (EU, DRILL)] == [1, 1]
    assert f"is a list, and this is what is yours of it. `/access end {request.id}` gives it back." in said
    assert "rows" not in said
    assert "There is no request" in str(bot.slack.command(stranger, typed, force=True)["body"])


def results_came(bot: Living, request: AccessRequest, count: int) -> None:
    replies = thread(bot, request)
    (shared,) = [message for message in replies if message.get("files")]
    data = bot.slack.download(shared["files"][0]).decode("utf-8-sig")
    heading, *found = list(csv.reader(io.StringIO(data, newline="")))
    assert (len(found), heading[0]) == (count, "row")
    assert [row[6] for row in found].count("done") == 180
    assert not [cell for row in found for cell in row if cell[:1] in "=+-@" and cell]
    assert found[-1][1] == "'=cmd()"
    said = "\n".join(text_of(message) for message in replies)
    assert "*180* of 180 rows are done and read back" in said
    assert len([m for m in replies if "rows are done and read back" in text_of(m)]) == 2  # progress, and the end
    assert [m for m in bot.slack.dms("kofi") if m.get("files")]


def the_ends(bot: Living, request: AccessRequest, accounts: set[str]) -> None:
    """Two hours later one group has none of them, two days later the other; one message each."""
    bot.store.move_time(timedelta(hours=2, minutes=10))
    settle(bot)
    assert bot.atlassian.members(EU) == {COMPANY.person("mei").account_id}
    assert bot.atlassian.members(DRILL) == accounts
    bot.store.move_time(timedelta(days=2, minutes=10))
    settle(bot)
    assert bot.atlassian.members(DRILL) == set()
    said = [text_of(m) for m in thread(bot, request) if "were taken away and read back" in text_of(m)]
    assert len(said) == 2
    with bot.store.read() as session:
        assert {grant.status for grant in session.exec(select(Grant))} == {"ended"}


def test_the_rows_are_looked_through_page_by_page(bot: Living) -> None:
    hand_in(bot, HEAD + "\n".join(f"{p.email},grant,{EU},2h," for p in FREE[:45]) + "\n<script>,grant,*x*,2h,")
    request = newest(bot)
    card = direct(bot, "omar", request)
    bot.slack.click("omar", "bulk_rows", ts=card["ts"], channel=card["channel"])
    view = bot.slack.open_view("omar")
    assert view is not None
    assert text_of(view).count("can be done") == 20
    for button, page in (
        ("bulk_next", FREE[20].email),
        ("bulk_next", "&lt;script&gt;"),
        ("bulk_previous", FREE[20].email),
    ):
        bot.slack.click("omar", button, view_id=view["id"])
        settle(bot)
        view = bot.slack.open_view("omar")
        assert view is not None
        assert page in text_of(view).replace("\u2060", "")
    bot.slack.close_view("omar", all=True)


def test_who_handed_it_in_looks_at_the_rows_from_the_answer(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,\nx@y.example,grant,{EU},2h,")
    (answer,) = [m for m in bot.slack.dms("kofi") if "is written down" in text_of(m)]
    assert "1 of them can't be done" in text_of(answer)
    bot.slack.click("kofi", "bulk_rows", ts=answer["ts"], channel=answer["channel"])
    assert "nobody with an Atlassian account" in text_of(bot.slack.open_view("kofi") or {})


def test_rows_that_slack_does_not_open_are_said(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,")
    card = direct(bot, "omar", newest(bot))
    bot.slack.fault("views.open", error="expired_trigger_id")
    bot.slack.click("omar", "bulk_rows", ts=card["ts"], channel=card["channel"])
    settle(bot)
    assert bot.slack.open_view("omar") is None
    assert [m for m in told(bot, "omar") if "Slack did not open the rows. Press *Rows…* once more." in m]


def test_whoever_is_in_the_list_sees_none_of_it(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,suspend,,,\nsade@harbour.example,grant,{EU},2h,")
    request = newest(bot)
    assert request.status == "pending"
    for who in ("ada", "sade"):
        assert not [m for m in told(bot, who) if request.id in m]
        answer = bot.slack.command(who, f"status {request.id}")
        assert "no request" in str(answer["body"])
    card = direct(bot, "omar", request)
    bot.slack.click("ada", "bulk_rows", ts=card["ts"], channel=card["channel"], force=True)
    settle(bot)
    assert bot.slack.open_view("ada") is None


def looks(bot: Living, who: str, typed: str) -> str:
    """What stands in the window at last, which is closed again."""
    answer = bot.slack.command(who, typed, force=True)
    assert not answer["body"], answer["body"]
    settle(bot)
    view = bot.slack.open_view(who)
    assert view is not None
    bot.slack.close_view(who, all=True)
    return text_of(view).replace("\u2060", "")


def sees_it_in_the_record(bot: Living, request: AccessRequest, of: dict[tuple[str, str], bool]) -> None:
    for (who, typed), seen in of.items():
        assert (request.id in looks(bot, who, f"audit {typed}")) is seen, (who, typed)


def test_the_record_of_a_person_has_the_lists_with_a_row_of_theirs_for_who_may_see_them(bot: Living) -> None:
    """Before the deed and after it; whoever is in the list sees none of it, and a row that was refused is none."""
    emergency = COMPANY.person(seed.EMERGENCY).email
    other = next(p for p in FREE if p.handle not in ("ada", "kofi")).email
    hand_in(bot, HEAD + "\n".join(f"{mail},grant,{EU},2h," for mail in ("ada@harbour.example", other, emergency)))
    request = newest(bot)
    assert request.status == "pending"
    seen = {("omar", "@ada"): True, ("omar", other): True, ("kofi", "me"): True}
    hidden = {("omar", emergency): False, ("ada", "me"): False}
    sees_it_in_the_record(bot, request, seen | hidden)
    approve(bot, request, "omar", "sade", typed="2")
    after_the_pause(bot)
    assert newest(bot).status == "done"
    sees_it_in_the_record(bot, request, seen | hidden)


def test_an_open_list_is_hidden_from_whom_it_is_about_though_they_look_after_people(bot: Living) -> None:
    hand_in(bot, HEAD + f"sade@harbour.example,grant,{EU},2h,\nada@harbour.example,grant,{EU},2h,")
    hidden = {("sade", "me"): False, ("sade", "@ada"): False}
    sees_it_in_the_record(bot, newest(bot), {("omar", "@sade"): True} | hidden)


BAD = [
    (b"", "The file is empty"),
    (b"PK\x03\x04rubbish", "spreadsheet"),
    (b"a,b\n1,2\n", "does not name the column person"),
]


@pytest.mark.parametrize(("content", "why"), BAD)
def test_a_bad_file_is_answered_with_a_sentence_and_no_request(bot: Living, content: bytes, why: str) -> None:
    hand_in(bot, content or b" ")
    assert [m for m in told(bot, "kofi") if why in m]
    with bot.store.read() as session:
        assert session.exec(select(AccessRequest)).all() == []


def test_slack_is_away_while_the_file_is_fetched(bot: Living) -> None:
    bot.slack.fault("download", status=503)
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,")
    assert newest(bot).status == "pending"


def test_whoever_handed_it_in_hears_that_it_can_not_be_read_for_a_mistake_of_ours(
    bot: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> list[Line]:
        raise StopIteration

    monkeypatch.setattr("bot.bulk_intake.read_list", mistaken)
    monkeypatch.setattr("bot.worker.BUGS_FORGIVEN", 1)
    hand_in(bot, b"person,action\nada@harbour.example,suspend\n")
    assert "was not asked for" in told(bot, "kofi")[-1]


def test_a_file_that_may_not_be_read_says_who_can_mend_it(bot: Living) -> None:
    bot.slack.scopes(remove=["files:read"])
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,")
    assert "files:read" in "\n".join(told(bot, "kofi")).replace("\u2060", "")


def test_the_same_file_twice_is_one_request(bot: Living) -> None:
    content = HEAD + f"ada@harbour.example,grant,{EU},2h,"
    hand_in(bot, content)
    hand_in(bot, content)
    with bot.store.read() as session:
        assert len(session.exec(select(AccessRequest)).all()) == 1
    assert [m for m in told(bot, "kofi") if "asked for that very list already" in m]


def test_who_may_not_hand_in_lists_gets_no_form(bot: Living) -> None:
    answer = bot.slack.command("ada", "bulk")
    assert "Lists are for the role helpdesk or the role admin" in str(answer["body"]).replace("\u2060", "")
    assert bot.slack.open_view("ada") is None
    assert "/access bulk" not in str(bot.slack.command("ada", "help")["body"])
    assert "/access bulk" in str(bot.slack.command("kofi", "help")["body"])


def test_all_or_nothing_is_refused_with_the_row(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,\nx@y.example,grant,{EU},2h,", whole=True)
    request = newest(bot)
    assert request.status == "refused"
    assert "row 3" in request.because


def test_the_result_is_put_up_once_although_it_was_not_noted(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,")
    request = newest(bot)
    approve(bot, request, "omar", "sade", typed="1")
    after_the_pause(bot)
    assert newest(bot).status == "done"
    with bot.store.write() as w:  # as after a kill between the sharing and its note
        for card in w.session.exec(select(Card).where(col(Card.place).startswith("result"))):
            card.drawn = ""
        w.enqueue("bulk result", request.id)
    settle(bot)
    assert len([m for m in thread(bot, request) if m.get("files")]) == 1


def test_a_wrong_number_is_said_at_its_field(bot: Living) -> None:
    hand_in(bot, HEAD + f"ada@harbour.example,grant,{EU},2h,")
    card = direct(bot, "omar", newest(bot))
    bot.slack.click("omar", "approve", ts=card["ts"], channel=card["channel"])
    view = bot.slack.open_view("omar")
    assert view is not None
    assert "Type the number of accounts this is about: 1" in text_of(view)
    assert bot.slack.submit("omar", view["id"], {"name": {"name": "2"}})["errors"] != {}


def held_in_home(bot: Living, who: str, request: AccessRequest) -> dict[str, Json]:
    """The buttons beside what a list gave, by their action; one opens the Home for that."""
    bot.slack.open_home(who)
    settle(bot)
    view = bot.slack.home(who)
    assert view is not None
    rows = [block["elements"] for block in view["blocks"] if block["type"] == "actions"]
    found = {one["action_id"]: one for row in rows for one in row if str(one.get("value", "")).startswith(request.id)}
    return {action: {**one, "view_id": view["id"]} for action, one in found.items()}


def test_give_back_in_the_home_gives_back_ones_own_whoever_may_end_the_whole_list(bot: Living) -> None:
    """Sade, of the role security, may."""
    who, other = "sade", FREE[0]
    lines = "".join(f"{COMPANY.person(one).email},grant,{DRILL},2h,\n" for one in (who, other.handle))
    hand_in(bot, HEAD + lines)
    request = newest(bot)
    approve(bot, request, "omar", "ingrid", typed="2")
    after_the_pause(bot)
    buttons = held_in_home(bot, who, request)
    assert set(buttons) == {"end"}, "what a list gave is not held longer"
    bot.slack.click(who, "end", view_id=buttons["end"]["view_id"], value=buttons["end"]["value"])
    settle(bot)
    assert bot.atlassian.members(DRILL) == {other.account_id}
    bot.slack.command(who, f"end {request.id}")
    settle(bot)
    assert bot.atlassian.members(DRILL) == set(), "which is still the whole list"


def test_whoever_holds_something_of_a_list_reads_that_it_is_not_extended(bot: Living) -> None:
    hand_in(bot, HEAD + f"{COMPANY.person('ada').email},grant,{DRILL},2h,\n")
    request = newest(bot)
    approve(bot, request, "sade", "omar", typed="1")
    after_the_pause(bot)
    for who in ("ada", "kofi"):
        for typed in (f"extend {request.id} for 1h", f"extend {request.id}"):
            said = str(bot.slack.command(who, typed))
            assert f"{request.id} is a list, and what a list gave is not extended" in said, said
    assert "no request" in str(bot.slack.command("tomas", f"extend {request.id} for 1h"))
