"""Break-glass while Slack is half down, while Atlassian has too many calls: it ends, and everybody hears of it."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from approvals.models import Grant, News, Review
from bot.sandbox.slack.control import text_of
from tests.stories.test_glass import COMPANY, TOMAS, breaks, holds, message
from tests.support.living import Living, living, until

SECURITY, OPERATORS = (COMPANY.channel(name).id for name in ("security", "gatehouse-operators"))
GRACE = COMPANY.person("grace").slack_id


@pytest.fixture
def bot(sqlite_url: str) -> Iterator[Living]:
    with living(sqlite_url) as bot:
        yield bot


class Clock:
    """Domain time for the bot and both sandboxes, from where it was moved to last."""

    def __init__(self, bot: Living) -> None:
        self.bot = bot
        self.moved = timedelta(0)

    def passes(self, by: timedelta) -> None:
        self.moved += by
        self.bot.store.move_time(self.moved)
        self.bot.atlassian.set_clock(self.moved.total_seconds())
        self.bot.slack.set_clock(int(self.moved.total_seconds()))

    def passes_until(self, so: Callable[[], bool], step: timedelta) -> None:
        """Time goes on in small steps until something is so: what is put off is due a step later."""
        for _ in range(40):
            with contextlib.suppress(TimeoutError):
                until(so, seconds=1)
                return
            self.passes(step)
        raise TimeoutError("it did not come")


def grant(bot: Living, request: str) -> Grant:
    with bot.store.read() as session:
        return session.exec(select(Grant).where(Grant.request_id == request)).one()


def told(bot: Living) -> set[tuple[str, str]]:
    """Where the notice has arrived: the place, and the person."""
    with bot.store.read() as session:
        rows = session.exec(select(News).where(News.kind == "glass")).all()
    return {(news.place, news.user) for news in rows if news.told_at is not None}


def seen(bot: Living, who: str, *words: str) -> bool:
    texts = [text_of(one).replace("\u2060", "") for one in bot.slack.messages(who)]
    return any(all(word in text for word in words) for text in texts)


def effects(bot: Living) -> list[str]:
    record = str(COMPANY.person("tomas").scim_id)
    writes = [entry for entry in bot.atlassian.ledger(writes=True) if entry["applied"] and record in str(entry["body"])]
    return [entry["body"]["Operations"][0]["op"] for entry in writes]


def test_with_slack_half_down_the_others_hear_it_ends_in_time_and_the_rest_hears_later(bot: Living) -> None:
    clock = Clock(bot)
    bot.slack.fault("chat.postMessage", error="not_in_channel", times=-1, naming=SECURITY)
    bot.slack.fault("conversations.open", error="user_not_found", times=-1, naming=GRACE)
    request = breaks(bot)
    until(lambda: holds(bot))
    until(lambda: told(bot) == {("operators", ""), ("room", "")})
    message(bot, "omar", "breaks glass for *INC-42*", "Nobody was asked")
    promised = grant(bot, request.id)
    clock.passes(timedelta(seconds=61))
    clock.passes(timedelta(seconds=30))
    assert grant(bot, request.id).ends_at == promised.ends_at, "somebody has heard of it"
    clock.passes(timedelta(minutes=59))
    until(lambda: not holds(bot))
    message(bot, "tomas", "the time of `eu-jira-admins` is over")
    assert bot.slack.channel("#security") == []
    bot.slack.clear_faults()
    clock.passes_until(lambda: len(told(bot)) == 4, timedelta(seconds=6))
    in_channel = [text_of(one).replace("\u2060", "") for one in bot.slack.channel("#security")]
    assert [text for text in in_channel if "breaks glass for *INC-42*" in text]
    message(bot, "grace", "breaks glass for *INC-42*", "You hear of it because")
    clock.passes_until(lambda: seen(bot, "sade", "What the bot did"), timedelta(seconds=61))
    assert effects(bot) == ["add", "remove"]
    assert bot.store.verify().ok


def test_with_all_of_slack_down_it_is_shorter_and_still_everybody_hears_of_it(bot: Living) -> None:
    clock = Clock(bot)
    bot.slack.fault("chat.postMessage", error="internal_error", status=503, times=-1)
    request = breaks(bot)
    until(lambda: holds(bot))
    promised = grant(bot, request.id)
    clock.passes(timedelta(seconds=61))
    until(lambda: grant(bot, request.id).ends_at != promised.ends_at)
    clock.passes(timedelta(minutes=31))
    until(lambda: not holds(bot))
    bot.slack.clear_faults()
    clock.passes_until(lambda: len(told(bot)) == 4, timedelta(seconds=61))
    for who in ("sade", "omar", "grace"):
        message(bot, who, "breaks glass for *INC-42*")
    clock.passes_until(lambda: seen(bot, "omar", "It ends sooner because of that"), timedelta(seconds=61))
    assert effects(bot) == ["add", "remove"]


def test_while_atlassian_says_too_many_calls_it_is_taken_late_and_ends_late_and_everybody_hears_at_once(
    bot: Living,
) -> None:
    clock = Clock(bot)
    bot.atlassian.fault(status=429, headers={"Retry-After": "2"}, times=3)
    request = breaks(bot)
    clock.passes_until(lambda: len(told(bot)) == 4, timedelta(seconds=3))
    clock.passes_until(lambda: holds(bot), timedelta(seconds=3))
    message(bot, "tomas", "is given", "for 1 hour")
    bot.atlassian.fault(method="PATCH", status=429, headers={"Retry-After": "2"}, times=2)
    ends_at = grant(bot, request.id).ends_at
    assert ends_at is not None
    clock.passes(ends_at - bot.store.now() + timedelta(seconds=1))
    clock.passes_until(lambda: not holds(bot), timedelta(seconds=3))
    message(bot, "tomas", "the time of `eu-jira-admins` is over")
    message(bot, "sade", "the time of `eu-jira-admins` is over")
    assert effects(bot) == ["add", "remove"]
    assert TOMAS not in bot.atlassian.members("eu-jira-admins")
    with bot.store.read() as session:
        assert session.get_one(Review, request.id).status == "due"
    assert bot.store.verify().ok
