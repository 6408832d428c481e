"""The job `texts`: erases texts of the record that are older than the operator wants them kept."""

from dataclasses import dataclass
from datetime import timedelta

from approvals import jobs
from approvals.forgetting import erase_older
from approvals.store import Store

DAILY = timedelta(days=1)


@dataclass
class Retention:
    """Runs once a day where AUDIT_TEXTS_KEPT_DAYS is set; otherwise everything is kept."""

    store: Store
    kept: timedelta | None

    def start(self) -> None:
        if self.kept is not None:
            with self.store.write() as w:
                w.enqueue("texts", "old", priority=jobs.BACKGROUND)

    def run(self, claim: jobs.Claim) -> None:
        """A page is erased and noted in one transaction, so that a crash loses nothing and does nothing twice."""
        if self.kept is None:
            return
        erase_older(self.store, self.kept)
        with self.store.work(claim) as w:
            w.enqueue("texts", "old", at=w.now + DAILY, priority=jobs.BACKGROUND)
