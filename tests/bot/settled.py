"""A bot whose work is done in the test's own thread, so that "nothing more happens" can be known and not waited for."""

import time
from datetime import UTC, timedelta
from typing import Any

from sqlmodel import col, func, select

from approvals.jobs import RECURRING
from approvals.models import AccessRequest, Card, Job
from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from tests.support.living import Living

Json = dict[str, Any]
COMPANY = seed.company()
REQUESTS = "#access-requests"
LONGEST = 180.0  # seconds of a test, however busy the machine is
SOON = timedelta(seconds=60)  # what is due later than that is not waited for: lapses and ends
NEXT_ROUND = timedelta(seconds=3)  # nor what reads anew as the minutes go by, unless somebody has just asked for it

READS = ("mirror", "sources")  # of what comes again for ever, what a test may wait for


def settle(bot: Living) -> None:
    """Do everything that is due, and what is put off for a moment as well; a job that never rests is an error."""
    deadline = time.monotonic() + LONGEST
    while True:
        assert time.monotonic() < deadline, f"it never comes to rest: {jobs(bot)}"
        bot.house.worker.run_until_idle()
        with bot.store.read() as session:  # what is read for ever nobody waits for
            ready = select(func.min(Job.run_at)).where(Job.status == "ready")
            dues = [
                (session.exec(ready.where(col(Job.kind).not_in(RECURRING))).one(), SOON),
                (session.exec(ready.where(col(Job.kind).in_(READS))).one(), NEXT_ROUND),
            ]
        now = bot.store.now()
        waits = [due.replace(tzinfo=UTC) - now for due, soon in dues if due and due.replace(tzinfo=UTC) - now <= soon]
        if not waits:
            return
        time.sleep(max(0.0, min(waits).total_seconds()))


def jobs(bot: Living) -> list[tuple[str, str]]:
    """What there is still to do, and what went wrong with it."""
    with bot.store.read() as session:
        return [(job.key, job.trouble) for job in session.exec(select(Job))]


def newcomers() -> list[str]:
    """People whose manager is Grace and whose accounts Gatehouse may write; one for each test."""
    return [f"person{number:03d}" for number in range(0, 187, 4)]


def ask(bot: Living, who: str, what: str = "eu-confluence-admins", length: str = "2h") -> str:
    """Ask; the request's id."""
    because = f"INC-42: the database is down, says {who}"
    answer = bot.slack.command(who, f"grant {what} for {length} because {because}", force=True)
    return str(answer["body"]["text"]).split()[1].rstrip(":")


def copies(bot: Living, request: str) -> dict[str, list[Json]]:
    """The cards of a request: in the channel, and in the direct messages of those who answer."""
    places = {"channel": bot.slack.channel(REQUESTS), "grace": bot.slack.dms("grace"), "mei": bot.slack.dms("mei")}
    return {
        place: [message for message in messages if f"{request} · asked" in text_of(message)]
        for place, messages in places.items()
    }


def press(bot: Living, who: str, action: str, card: Json, *, force: bool = False) -> Json:
    return bot.slack.click(who, action, ts=card["ts"], channel=card["channel"], force=force)


def actions(message: Json) -> set[str]:
    rows = [block for block in message["blocks"] if block["type"] == "actions"]
    return {str(element["action_id"]) for row in rows for element in row["elements"]}


def status_of(bot: Living, request: str) -> str:
    with bot.store.read() as session:
        found = session.get(AccessRequest, request)
    return found.status if found else "none"


def cards_of(bot: Living, request: str) -> list[Card]:
    with bot.store.read() as session:
        return list(session.exec(select(Card).where(Card.request_id == request)))


def thread_of(card: Json) -> list[str]:
    return [text_of(reply) for reply in card["replies"]]
