"""The story's emergency: Tomáš breaks glass, everybody hears it, Grace ends it, and it is judged when it is overdue."""

import re
from datetime import timedelta
from typing import Any

from bot.sandbox.slack.control import text_of
from bot.stage import Stage, held_by, plain, room_of

GROUP = "eu-jira-admins"
TYPED = f"{GROUP} incident INC-42 because the release is stuck and Grace is on a plane"


def tell_an_emergency(stage: Stage) -> None:
    """From the command to the verdict."""
    request = breaking(stage)
    stopping(stage, request)
    judging(stage)


def breaking(stage: Stage) -> str:
    stage.title("Nobody answers at night: Tomáš breaks glass for INC-42")
    before = len(stage.atlassian.ledger(writes=True))
    stage.line("Tomáš", f"/breakglass {TYPED}")
    stage.slack.command("tomas", TYPED, command="/breakglass", channel=room_of("tomas"))
    view = stage.until(lambda: stage.slack.open_view("tomas"))
    stage.line("Gatehouse, to Tomáš", plain(text_of(view)))
    stage.line("Tomáš", f"types “{GROUP}”")
    stage.slack.submit("tomas", view["id"], _filled(view))
    stage.slack.close_view("tomas", all=True)
    stage.until(lambda: held_by(stage, "tomas"))
    stage.expect(held_by(stage, "tomas"), "Atlassian says that Tomáš is in the group, and nobody was asked")
    stage.expect(len(stage.atlassian.ledger(writes=True)) == before + 1, "by one call")
    loud = _seen(stage, "sade", "breaks glass", "#security")
    _seen(stage, "grace", "You hear of it because you would have been asked", "Grace, directly")
    found = re.search(r"REQ-[0-9a-z]+", text_of(loud))
    return found[0] if found else "REQ-none"


def stopping(stage: Stage, request: str) -> None:
    stage.title("Grace has landed, and ends it with one click")
    message = _seen(stage, "grace", "You hear of it because you would have been asked", "")
    stage.line("Grace", "presses End it now")
    stage.slack.click("grace", "glass_end", ts=message["ts"], channel=message["channel"])
    stage.until(lambda: not held_by(stage, "tomas"))
    stage.expect(not held_by(stage, "tomas"), "Atlassian says that Tomáš is out of the group")
    ended = _seen(stage, "tomas", "was ended early by Grace Okafor", "Tomáš, directly")
    stage.expect(request in text_of(ended) or "eu-jira-admins" in text_of(ended), "and he is told by whom")


def judging(stage: Stage) -> None:
    stage.title("A day later nobody has said whether it was right")
    stage.passes(timedelta(hours=24, minutes=1))
    _seen(stage, "sade", "Until it is settled they can't break glass again", "#security")
    refused = stage.slack.command("tomas", TYPED, command="/breakglass", channel=room_of("tomas"))
    said = plain(text_of(refused["body"] or {}) or refused.get("text") or "")
    stage.line("Gatehouse, to Tomáš", said)
    stage.expect("overdue" in said, "Tomáš can't break glass again before it is settled")
    card = _seen(stage, "sade", "What the bot did", "Sade, in #security")
    stage.slack.click("sade", "review_settle", ts=card["ts"], channel=card["channel"])
    view = stage.until(lambda: stage.slack.open_view("sade"))
    reason = "The release was stuck, and nobody who could approve was awake."
    stage.line("Sade", f"It was right. {reason}")
    stage.slack.submit("sade", view["id"], {"verdict": {"verdict": "legitimate"}, "reason": {"reason": reason}})
    verdict = _seen(stage, "tomas", "taken by break-glass: it was right", "Tomáš, directly")
    stage.expect("Sade Adeyemi" in text_of(verdict), "Sade, who was not in it, has settled it")


def _seen(stage: Stage, who: str, words: str, where: str) -> dict[str, Any]:
    """The newest message somebody sees with these words."""

    def look() -> dict[str, Any] | None:
        seen = reversed(stage.slack.messages(who))
        return next((m for m in seen if m.get("blocks") and words in text_of(m).replace("\u2060", "")), None)

    message: dict[str, Any] = stage.until(look)
    if where:
        stage.line(where, plain(text_of(message)))
    return message


def _filled(view: dict[str, Any]) -> dict[str, Any]:
    """What the form has already, and the name."""
    inputs = [block for block in view["blocks"] if block["type"] == "input"]
    values = {one["block_id"]: {one["block_id"]: one["element"].get("initial_value", "")} for one in inputs}
    return values | {"name": {"name": GROUP}}
