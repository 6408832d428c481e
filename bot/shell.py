"""Who acts from a shell: the OS user, in the record and told to security. From here nothing is approved or given."""

import getpass
import os
from typing import Any

from approvals.store import Actor, Write


def shell_actor() -> Actor:
    """The person at this terminal, as far as the machine knows."""
    return Actor(f"shell:{_user()}")


def _user() -> str:
    """The number of one that has no name here, as in a container that runs as anybody."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid {os.getuid()}"


def tell_security(w: Write, actor: Actor, did: str, **facts: Any) -> None:
    """Each act of the command line is said where security reads it."""
    w.tell("shell_act", place="security", by=actor.account.removeprefix("shell:"), did=did, **facts)
