"""`gatehouse serve` that kills its own process group at a crash point, or writes down which ones it passes.

python crashing.py kill "give: called" 1     SIGKILL when this label is reached for the first time
python crashing.py log labels.txt            one line for each label that is reached
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from approvals.crash import set_hook
from bot.cli import serve


def kill_at(label: str, nth: int) -> Callable[[str], None]:
    """The process group is the bot's own: whoever starts this must have started a new one."""
    lock, left = threading.Lock(), [nth]

    def reached(here: str) -> None:
        if here == label:
            with lock:
                left[0] -= 1
                if left[0] == 0:
                    os.killpg(os.getpgrp(), signal.SIGKILL)

    return reached


def log_to(file: Path) -> Callable[[str], None]:
    lock = threading.Lock()

    def reached(here: str) -> None:
        with lock, file.open("a", encoding="utf-8") as lines:
            lines.write(f"{here}\n")

    return reached


if __name__ == "__main__":
    mode, what, *more = sys.argv[1:]
    set_hook(kill_at(what, int(more[0])) if mode == "kill" else log_to(Path(what)))
    serve()
