"""How a process that lives for months stays small: a collector that looks seldom, and few places to allocate from."""

import ctypes
import gc
from contextlib import suppress

M_ARENA_MAX = -8  # https://man7.org/linux/man-pages/man3/mallopt.3.html
ARENAS = 2


def stay_small() -> None:
    """To be called when everything is loaded, before the threads start that do the work."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a command makes thousands of short-lived things, none of them in cycles
    # glibc gives each thread an arena of its own and returns little of it; one interpreter allocates one at a time.
    with suppress(OSError, AttributeError):  # another C library has no such thing
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
