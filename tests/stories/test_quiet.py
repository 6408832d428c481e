"""Quiet means quiet: until it is done, whoever it is about finds nothing of it anywhere they can look."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.slack.control import NotPossible, text_of
from tests.bot.settled import COMPANY, newcomers, settle, status_of
from tests.stories.test_every_verb import approve, types
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

_PEOPLE = iter(newcomers()[10:])
BECAUSE = "because HR-7: the contract is over"
VERBS = {
    "deactivate": "deactivate {mail}", "offboard": "offboard {mail}", "suspend": "suspend {mail}",
    "tokens": "tokens {mail} delete",
}  # fmt: skip


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    record = copied(migrated_file, tmp_path_factory.mktemp("quiet"))
    with living(record, policy=roomy(), works=False, site=True) as bot:
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    for who in ("grace", "omar", "sade"):
        while running.slack.open_view(who):
            running.slack.close_view(who)


@pytest.fixture
def who() -> str:
    return next(_PEOPLE)


def everything(bot: Living, who: str, request: str) -> dict[str, Any]:
    """All that somebody can find in Slack: messages, Home, and what each command answers."""
    bot.slack.open_home(who)
    settle(bot)
    found: dict[str, Any] = {
        "messages": [text_of(message) for message in bot.slack.messages(who)],
        "home": text_of(bot.slack.home(who) or {}),
    }
    for typed in ("mine", "status", f"status {request}", f"cancel {request}", f"end {request}"):
        found[typed] = str((bot.slack.command(who, typed, force=True)["body"] or {}).get("text"))
    for typed in (f"audit {request}", "audit me", "whois me", "tokens me"):
        answer = bot.slack.command(who, typed, force=True)
        settle(bot)
        view = bot.slack.open_view(who)
        found[typed] = text_of(view) if view else str((answer["body"] or {}).get("text"))
        while bot.slack.open_view(who):
            bot.slack.close_view(who)
    return found


def nothing_of(request: str, verb: str, found: dict[str, Any]) -> None:
    for where, text in found.items():
        said = "\n".join(text) if isinstance(text, list) else text
        answered = request in where and "There is no" in said  # like a request that does not exist
        assert answered or (request not in said and verb not in said.casefold()), (where, said)


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_found_between_the_asking_and_the_deed(bot: Living, who: str, verb: str) -> None:
    mail, asker = COMPANY.person(who).email, "sade"
    none_such = everything(bot, who, "REQ-abcdefghjk")
    request = types(bot, asker, f"{VERBS[verb].format(mail=mail)} {BECAUSE}")
    assert status_of(bot, request) == "pending"
    noun = {"deactivate": "deactiv", "offboard": "offboard", "suspend": "suspen", "tokens": "deletion of the api"}[verb]
    while_asked = everything(bot, who, request)
    nothing_of(request, noun, while_asked)
    assert {key.replace(request, "REQ"): value for key, value in while_asked.items() if request in key} == {
        key.replace("REQ-abcdefghjk", "REQ"): str(value).replace("REQ-abcdefghjk", request)
        for key, value in none_such.items()
        if "REQ-abcdefghjk" in key
    }, "it answers like a request that does not exist"
    for approver in ("omar", "ingrid"):
        if status_of(bot, request) == "pending":
            nothing_of(request, noun, everything(bot, who, request))
            approve(bot, approver, request)
    if status_of(bot, request) == "scheduled":
        nothing_of(request, noun, everything(bot, who, request))


def test_who_makes_a_token_every_moment_and_joins_a_group_meanwhile_is_out_all_the_same(bot: Living, who: str) -> None:
    person = COMPANY.person(who)
    over = threading.Event()
    made = [0]

    def make() -> None:
        while not over.wait(0.05):
            try:
                bot.atlassian.make_token(person.account_id, label=f"token {made[0]}")
                made[0] += 1
            except ValueError:
                return  # whoever is deactivated makes none

    bot.atlassian.make_site_group("made-meanwhile", [])
    request = types(bot, "sade", f"offboard {person.email} {BECAUSE}")
    maker = threading.Thread(target=make)
    maker.start()
    for approver in ("omar", "ingrid"):
        approve(bot, approver, request)
    bot.atlassian.add_by_hand("made-meanwhile", person.account_id)
    bot.store.move_time(timedelta(minutes=6))
    settle(bot)
    over.set()
    maker.join()
    assert status_of(bot, request) == "done"
    there = bot.atlassian.account(person.account_id)
    assert made[0] > 3
    assert (there["active"], there["tokens"]) == (False, [])
    assert person.account_id not in bot.atlassian.members("made-meanwhile")


def test_nobody_else_finds_it_either(bot: Living, who: str) -> None:
    """A colleague who is none of those that answer."""
    request = types(bot, "sade", f"suspend {COMPANY.person(who).email} {BECAUSE}")
    found = everything(bot, "nadia", request)
    nothing_of(request, "suspen", {key: value for key, value in found.items() if key != "messages"})
    with pytest.raises(NotPossible):
        bot.slack.click("nadia", "approve", ts="1.0", channel="#security")


def window(bot: Living, who: str, typed: str) -> str:
    """What stands in the window that a command opens."""
    assert not bot.slack.command(who, typed, force=True)["body"]
    settle(bot)
    shown = text_of(bot.slack.open_view(who) or {})
    while bot.slack.open_view(who):
        bot.slack.close_view(who)
    return shown


def test_who_looks_at_the_record_of_somebody_does_not_find_what_that_one_asks_about_them(bot: Living) -> None:
    """Kofi may look at everybody's record, and it is his own account that Sade asks to have suspended."""
    request = types(bot, "sade", f"suspend {COMPANY.person('kofi').email} {BECAUSE}")
    for typed in ("audit @sade", "audit me"):
        assert request not in window(bot, "kofi", typed), typed
    assert request in window(bot, "sade", "audit me")
    assert request in window(bot, "omar", "audit @sade"), "it is for Omar to answer"
    assert request in window(bot, "omar", "audit @kofi")
    bot.slack.command("sade", f"cancel {request}", force=True)
    settle(bot)
    assert request in window(bot, "kofi", "audit @sade"), "once it is over it is quiet no more"
