"""/access reconcile: holds the record against Atlassian now; a job looks, and tells whoever asked what differs."""

from approvals import authority, jobs
from approvals.policy import Person as Speaker
from approvals.store import Actor, AlreadyThere
from handlers.desk import Desk, Said

LOOKING = (
    ":mag: I hold the record against Atlassian now, group by group. You hear directly what differs; a difference that "
    "is seen for the first time counts when it is seen again in a minute."
)


def reconcile(desk: Desk, speaker: Speaker, said: Said) -> str:
    """For the roles that look after it. Nothing is given by it, whatever it finds."""
    verdict = authority.may_do("reconcile", speaker)
    actor = Actor(speaker.account, speaker.team, speaker.user)
    if not verdict:
        because = f"You may not reconcile: {verdict.because}."
        desk.workflow.refuse(actor, because, said.source)
        return because
    with desk.store.write() as w:
        try:
            w.first_time(said.source)
        except AlreadyThere:
            return LOOKING
        w.audit("reconcile.asked", actor=actor)
        once = said.source[-40:].replace("/", "-")
        w.enqueue("reconcile", f"asked/{speaker.team}/{speaker.user}/{once}", priority=jobs.PEOPLE)
    return LOOKING
