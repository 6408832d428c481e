"""Two slots for each credential, so that a key is changed without a moment in which nothing works."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import SecretStr

Which = Literal["current", "next"]


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Slot:
    """A key and the last day on which it works, where somebody wrote that down."""

    key: SecretStr
    expires: date | None = None

    def is_over(self, today: date) -> bool:
        return self.expires is not None and self.expires < today


class KeySlots:
    """The key that is used now, and the one beside it. Safe to use from several threads.

    Atlassian's 401 turns to the other one, when that one works; so does the last day of the one that is used. A turn
    lasts until this process ends, or until the other is refused in its turn.
    """

    def __init__(
        self, setting: str, current: Slot, next: Slot | None = None, *, today: Callable[[], date] = _today
    ) -> None:  # fmt: skip
        self.setting = setting  # the name of the current one's
        self._slots: dict[Which, Slot] = {"current": current}
        if next is not None:
            self._slots["next"] = next
        self._today = today
        self.used: Which = "current"
        self.why = ""  # the next one is used, in words

    @classmethod
    def of(cls, key: "SecretStr | KeySlots") -> "KeySlots":
        """One key has one slot."""
        return key if isinstance(key, KeySlots) else cls("", Slot(key))

    @property
    def at_hand(self) -> SecretStr:
        """The key to use now."""
        used, other = self._slots[self.used], self._slots.get(self._beside)
        if other is not None and used.is_over(self._today()) and not other.is_over(self._today()):
            self._turn(f"its last day was {used.expires}")
        return self._slots[self.used].key

    @property
    def beside(self) -> SecretStr | None:
        """The other key, where there is one."""
        slot = self._slots.get(self._beside)
        return slot.key if slot else None

    @property
    def all(self) -> tuple[SecretStr, ...]:
        return tuple(slot.key for slot in self._slots.values())

    @property
    def turned(self) -> bool:
        """Whether the next one is used instead of the current one."""
        return self.used == "next"

    def refused(self, key: SecretStr) -> None:
        """Atlassian takes the other one and refuses this."""
        if key is self._slots[self.used].key:
            self._turn("it is refused")

    def _turn(self, why: str) -> None:
        self.used, self.why = self._beside, why

    @property
    def _beside(self) -> Which:
        return "next" if self.used == "current" else "current"
