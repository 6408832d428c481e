"""What people do while machines come and go, as often as it takes; and who looks on."""

import json
from contextlib import suppress

from sqlmodel import col, select

from approvals.database import Database
from approvals.models import AccessRequest, Grant
from bot.sandbox.slack.control import NotPossible, text_of
from tests.support.machines import Machine, Machines, as_judge
from tests.support.outside import CHANNEL, Bot

GROUP = "eu-jira-admins"
LONG = 240  # seconds after which a test gives up waiting
LATER = ("wait", "ends soon")  # jobs that look once more when their time comes, and find it over


class Judge:
    """Looks into the record over a connection that nobody cuts."""

    def __init__(self, bot: Bot) -> None:
        self._database = Database(as_judge(bot.environ["DATABASE_URL"]))

    def asked(self) -> list[str]:
        with self._database.reading() as session:
            return list(session.exec(select(AccessRequest.id).order_by(col(AccessRequest.asked_at))))

    def status(self, request: str) -> str:
        with self._database.reading() as session:
            return session.exec(select(AccessRequest.status).where(AccessRequest.id == request)).one()

    def grant(self, request: str) -> str:
        with self._database.reading() as session:
            return session.exec(select(Grant.status).where(Grant.request_id == request)).first() or "none"

    def close(self) -> None:
        self._database.close()


# -- what people do ---------------------------------------------------------------------------------------------------


def typed(bot: Bot, words: str) -> str:
    """What Ada reads when she types it; a sentence, or Slack's own complaint, when it was not written down."""
    said = bot.slack.command("ada", words, channel=CHANNEL)
    return str(said["error"] or text_of(said["body"] or {}) or said["text"])


def whole_life(every: Machines, bot: Bot, judge: Judge, number: int) -> str:
    """One request from its question to its early end, asked on one web side and answered on another; its id."""
    asked_on, answered_on = (every.webs[(number + turn) % len(every.webs)] for turn in (0, 1))
    every.speak_to(asked_on)
    request = ask(bot, judge, number)
    every.speak_to(answered_on)
    approve(bot, judge, request)
    given(bot, judge, request)
    end(bot, judge, request)
    return request


def ask(bot: Bot, judge: Judge, number: int) -> str:
    """Ada asks, again for as long as she reads that it was not written down; the request's id."""
    before = set(judge.asked())

    def look() -> str | None:
        new = set(judge.asked()) - before
        if not new:
            typed(bot, f"grant {GROUP} for 2h because INC-42: number {number}")
        return next(iter(new), None)

    return bot.until(look, seconds=LONG)


def approve(bot: Bot, judge: Judge, request: str) -> None:
    """Grace presses her button until the question is answered."""

    def answered() -> bool:
        if judge.status(request) not in ("asked", "pending"):
            return True
        card = bot.card("grace", request)
        with suppress(NotPossible):  # it was drawn anew meanwhile, without a button
            bot.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
        return False

    bot.until(answered, seconds=LONG)


def end(bot: Bot, judge: Judge, request: str) -> None:
    """Ada gives it back before its time, again until it is gone."""

    def over() -> bool:
        if judge.grant(request) == "active":
            typed(bot, f"end {request}")
        return judge.grant(request) == "ended"

    bot.until(over, seconds=LONG)


def given(bot: Bot, judge: Judge, request: str) -> None:
    bot.until(lambda: judge.status(request) == "done", seconds=LONG)


# -- what processes say of themselves ---------------------------------------------------------------------------------


def writes(machine: Machine) -> list[str]:
    """For which jobs this process has changed something at Atlassian, in order."""
    lines = [json.loads(line) for line in machine.text().splitlines() if line.startswith("{")]
    return [line["job"] for line in lines if line["event"] == "called Atlassian" and line["method"] == "PATCH"]


def works(machine: Machine) -> bool:
    """Whether this process has called anybody for a job."""
    lines = [json.loads(line) for line in machine.text().splitlines() if line.startswith("{")]
    return any(line["event"].startswith("called ") and "job" in line for line in lines)
