"""Who acts from a shell: the OS user, in the record and told to security. From here nothing is approved or given."""

import getpass
from typing import Any

from approvals.store import Actor, Write


def shell_actor() -> Actor:
    """The person at this terminal, as far as the machine knows."""
    return Actor(f"shell:{getpass.getuser()}")


def tell_security(w: Write, actor: Actor, did: str, **facts: Any) -> None:
    """Each act of the command line is said where security reads it."""
    w.tell("shell_act", place="security", by=actor.account.removeprefix("shell:"), did=did, **facts)
