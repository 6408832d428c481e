"""The story every release must be able to tell, played against the sandboxes; every line of it is an answer."""

import re
import time
from datetime import timedelta

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.stage import CHANNEL, Stage, held_by, plain
from bot.story_of_glass import tell_an_emergency
from bot.story_of_proof import tell_the_proof
from bot.story_of_verbs import tell_every_verb

REASON = "INC-42: db down: “need” <!channel> & failover"


def tell(stage: Stage, *, brief: bool = False) -> list[str]:
    """The whole story, or its main job only; returns the expectations that did not hold."""
    try:
        ready(stage)
        request = asking(stage)
        refusing_oneself(stage, request)
        denying(stage)
        approving(stage, request)
        ending(stage, request)
        if not brief:
            tell_an_emergency(stage)
            tell_every_verb(stage)
        proving(stage)
        if not brief:
            tell_the_proof(stage)
    except TimeoutError as nothing:
        stage.expect(False, f"the story could go on: {nothing}")
    return stage.failures


def ready(stage: Stage) -> None:
    stage.title("The company")
    stage.line("gatehouse import", stage.imported.splitlines()[-1])
    for _ in range(100):  # the mirror is filled in the first seconds of a first start
        answer = stage.slack.command("ada", "mine", channel=CHANNEL)
        if "don't know" not in (answer.get("text") or ""):
            return
        time.sleep(0.1)


def asking(stage: Stage) -> str:
    stage.title("Ada, an engineer, asks for eu-jira-admins for two hours")
    shown = stage.types("ada", f"grant eu-jira-admins for 2h because {REASON}")
    found = re.search(r"REQ-[0-9a-z]+", shown)
    stage.expect(found is not None, "the request is written down before it is acknowledged")
    request = found[0] if found else "REQ-none"
    card = stage.card("ada", request)
    stage.line("#access-requests", plain(text_of(card)))
    stage.expect(REASON in text_of(card), "the reason arrived whole and harmless")
    direct = stage.card("grace", request)
    stage.line("Grace, directly", plain(text_of(direct)))
    stage.expect(direct["channel"].startswith("D"), "Grace, who is not in the channel, is asked directly")
    stage.expect("may answer" in text_of(direct), "the card says why it is she who is asked")
    return request


def refusing_oneself(stage: Stage, request: str) -> None:
    stage.title("Ada tries to approve her own request")
    card = stage.card("ada", request)
    stage.slack.click("ada", "approve", ts=card["ts"], channel=card["channel"])
    refusal = stage.sees("ada", "nobody approves their own request", "only Ada sees")
    stage.expect("own request" in text_of(refusal), "self-approval is refused")
    stage.expect(not held_by(stage, "ada"), "nothing has changed in Atlassian")


def denying(stage: Stage) -> None:
    stage.title("Tomáš asks too, and Grace says no")
    shown = stage.types("tomas", 'grant eu-jira-admins for 8h because "I want to look around"')
    request = (re.search(r"REQ-[0-9a-z]+", shown) or ["REQ-none"])[0]
    card = stage.card("grace", request)
    stage.slack.click("grace", "deny", ts=card["ts"], channel=card["channel"])
    view = stage.slack.open_view("grace")
    stage.expect(view is not None, "Deny asks for a reason first")
    if view is not None:
        stage.line("Grace", "Looking around needs no admin rights; ask Mei for a tour.")
        reason = {"reason": {"text": "Looking around needs no admin rights; ask Mei for a tour."}}
        stage.slack.submit("grace", view["id"], reason)
    stage.reply(stage.card("tomas", request), "was denied by")
    stage.expect(not held_by(stage, "tomas"), "Tomáš holds nothing")


def approving(stage: Stage, request: str) -> None:
    stage.title("Grace approves Ada's request from the direct message")
    before = len(stage.atlassian.ledger(writes=True))
    card = stage.card("grace", request)
    stage.slack.click("grace", "approve", ts=card["ts"], channel=card["channel"])
    stage.reply(stage.card("ada", request), "Approved by")
    done = stage.reply(stage.card("ada", request), "is given")
    stage.expect("read back" in text_of(done), "the thread says that it was read back")
    stage.expect("/audit-log" in str(done), "with the link to the organization's audit log")
    for call in stage.atlassian.ledger(writes=True)[before:]:
        stage.line("Atlassian's ledger", f"{call['method']} {call['path']} → {call['status']}")
    stage.expect(held_by(stage, "ada"), "Atlassian says that Ada is in the group")
    writes = stage.atlassian.ledger(writes=True)[before:]
    stage.expect(len(writes) == 1, "by one call")


def ending(stage: Stage, request: str) -> None:
    stage.title("Two hours later")
    stage.passes(timedelta(hours=2, seconds=1))
    stage.reply(stage.card("ada", request), "is over")
    stage.expect(not held_by(stage, "ada"), "Atlassian says that Ada is out of the group")
    mei = seed.company().person("mei").account_id
    stage.expect(mei in stage.atlassian.members("eu-jira-admins"), "Mei, who was in it before, still is")


def proving(stage: Stage) -> None:
    stage.title("The record")
    printed = stage.gatehouse("audit", "verify")
    stage.line("gatehouse audit verify", printed)
    stage.expect(printed.endswith("whole."), "the chain is whole")
