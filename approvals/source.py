"""What a payload is known by: the key of what somebody did, and further keys of the same payload."""

from itertools import zip_longest

from sqlalchemy import Connection, bindparam
from sqlmodel import Session, col, select

from approvals.database import plain
from approvals.models import Replay

SLOTS = ("key0", "key1", "key2", "key3")  # a payload has one to three; a list of any length is built anew each time
_KNOWN = select(Replay.source).where(col(Replay.source).in_([bindparam(slot) for slot in SLOTS]))


class Source(str):
    """Under this key something is done once. ``more`` are further keys, remembered in the same transaction.

    It is the key itself wherever it is stored or compared, so whoever passes it on need not know of the others.
    """

    more: tuple[str, ...]

    def __new__(cls, key: str, *more: str) -> "Source":
        source = super().__new__(cls, key)
        source.more = more
        return source

    @property
    def keys(self) -> tuple[str, ...]:
        return (str(self), *self.more)


def keys_of(source: str) -> tuple[str, ...]:
    """All keys of a source; a plain text has one."""
    return source.keys if isinstance(source, Source) else (source,)


def known(db: Session | Connection, keys: tuple[str, ...]) -> frozenset[str]:
    """Which of these keys were acted on before."""
    if not keys or len(keys) > len(SLOTS):
        raise ValueError(f"a payload has one to {len(SLOTS)} keys")
    wanted = dict(zip_longest(SLOTS, keys, fillvalue=keys[0]))
    return frozenset(plain(db).execute(_KNOWN, wanted).scalars())
