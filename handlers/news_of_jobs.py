"""What the operators' channel reads of work that fails: what it was, whose, why, and what to do."""

from typing import Any

from handlers.text import esc
from handlers.view import RequestView

WHAT = {  # what a kind of job does, to complete "the job that …"
    "plan": "reads Atlassian and plans",
    "count": "judges an answer",
    "wait": "reminds, asks the next ones and lets questions lapse",
    "apply": "does what was approved",
    "end": "takes away what is over",
    "bulk end": "takes away what is over, of a list",
    "group end": "takes away what is over at once, of a group",
    "draw": "draws a card",
    "tell": "sends a message",
    "mirror": "copies who people are",
    "sources": "reads who may answer",
    "events": "reads Atlassian's audit log",
    "checkpoint": "sends checkpoints of the record",
    "glass": "decides about break-glass",
    "glass heard": "looks whether break-glass was heard of",
    "review": "shows a review",
    "review due": "watches over a review",
    "welcome": "waits for a newcomer",
    "reconcile": "holds the record against Atlassian",
    "outside": "looks at what was said outside of the record",
    "watch": "looks after keys, vendors and the record",
}


def job_in_trouble(facts: dict[str, Any], view: RequestView | None, _: str) -> str:
    """Three sentences: what failed and why, what became of the request, what to do."""
    about = f" of {esc(facts['about'])}" if facts.get("about") else ""
    what = WHAT.get(str(facts["job"]).partition(":")[0], "")
    does = f", which {what}," if what else ""
    name = f"The job `{esc(facts['job'])}`{about}{does}"
    tries = f"{facts['attempts']} {'try' if facts['attempts'] == 1 else 'tries'}"
    why = esc(facts["why"], 1000)
    if not facts["dead"]:
        return f":rotating_light: {name} has failed {facts['attempts']} times and is tried again: {why}"
    first = f":rotating_light: {name} was given up after {tries}: {why}"
    if facts.get("closed"):
        return f"{first}\nThe request was closed with it; whoever asked has read so."
    return f"{first}\nWhen the cause is mended, have it tried again: `gatehouse jobs retry '{esc(facts['job'])}'`"
