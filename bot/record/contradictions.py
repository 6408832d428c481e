"""Where the tables say what the record does not: rows can be edited by hand, entries of the chain can't unseen."""

from collections.abc import Iterator

from approvals.states import Status
from bot.record.dossiers import Dossier

ANSWERS = {"vote.counted", "request.approved", "request.denied", "request.scheduled"}


def contradictions(found: Dossier) -> Iterator[str]:
    """A sentence each, about one request; nobody's word stands against the chain's."""
    moves = [line["event"].removeprefix("request.") for line in found.entries if line["event"].startswith("request.")]
    states = [move for move in moves if move in set(Status)]
    status = found.request["status"]
    if status != (states[-1] if states else None):
        said = states[-1] if states else "nothing"
        yield f"its table says {status}, and the record {said}"
    counted = {
        (line["data"].get("vote"), line["actor"]) for line in found.entries if line["event"] in ANSWERS
    }  # fmt: skip
    for line in found.decisions:
        answered = line["outcome"] == "counted" and line["choice"] != "edit"
        if answered and (line["vote"], line["who"]) not in counted:
            yield f"its table counts “{line['choice']}” by {line['who']}, and the record does not"
    logged = {line["data"].get("event") for line in found.entries if line["event"] == "call.logged"}
    for line in found.effects:
        if line["event"] and line["event"] not in logged:
            yield f"its table has Atlassian's event {line['event']}, and the record has not"
    settled = {
        (line["data"].get("verdict"), line["actor"]) for line in found.entries if line["event"] == "review.settled"
    }  # fmt: skip
    for line in found.glass:
        if line["verdict"] and (line["verdict"], line["judged_by"]) not in settled:
            yield f"its table has the verdict {line['verdict']} by {line['judged_by']}, and the record has not"
