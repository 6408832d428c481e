"""The story's last part: Atlassian's own audit log is read, and an auditor gets a folder and checks it elsewhere."""

import subprocess
import sys
from datetime import timedelta

from sqlmodel import select

from approvals.models import CallEvent
from bot.sandbox.slack.control import text_of
from bot.stage import Stage

CHECKPOINTS = "#gatehouse-operators"  # the policy names no channel for the audit


def tell_the_proof(stage: Stage) -> None:
    """From the audit log to the verdict of a program that knows nothing of Gatehouse."""
    reading_the_log(stage)
    handing_over(stage)


def reading_the_log(stage: Stage) -> None:
    stage.title("Half an hour later: what Atlassian's own audit log shows of each call")
    stage.passes(timedelta(minutes=35))
    stage.until(lambda: not _states(stage).count("looking"))
    states = _states(stage)
    counted = ", ".join(f"{states.count(state)} {state.replace('_', ' ')}" for state in sorted(set(states)))
    stage.line("events of the calls", counted)
    stage.expect("found" in states, "Atlassian's event of a call is found and linked")
    stage.expect("missing" not in states, "nothing is missing there that was to be expected")


def _states(stage: Stage) -> list[str]:
    with stage.store.read() as session:
        return list(session.exec(select(CallEvent.state)))


def handing_over(stage: Stage) -> None:
    stage.title("An auditor asks for everything of these days")
    now = stage.store.now()
    since, until = f"{now - timedelta(days=7):%Y-%m-%d}", f"{now:%Y-%m-%d}"
    printed = stage.gatehouse("evidence", "--from", since, "--to", until, str(stage.evidence))
    stage.line("gatehouse evidence", printed)
    stage.expect((stage.evidence / "index.html").is_file(), "there is a page to read in a browser")
    seen = [text_of(message) for message in stage.slack.channel(CHECKPOINTS)]
    kept = stage.evidence.with_name("kept-checkpoints.log")  # beside the folder: what the auditor has had all along
    kept.write_text("\n".join(text for text in seen if "The record has" in text), encoding="utf-8")
    words = [sys.executable, "-I", "gatehouse_verify.py", "record.jsonl", "--checkpoint", str(kept.resolve())]
    done = subprocess.run(words, cwd=stage.evidence, capture_output=True, text=True, timeout=60, check=False)
    stage.line("the auditor's machine", done.stdout + done.stderr)
    stage.expect(done.returncode == 0, "checked elsewhere, against checkpoints from Slack, the record is whole")
