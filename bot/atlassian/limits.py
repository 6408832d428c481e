"""How large a group and a batch may get: the figures, who names them, and what to say when one is passed."""

from dataclasses import dataclass

GUIDE = "the guide to Atlassian Access APIs"
TODAY = "Atlassian's support pages on user provisioning"


@dataclass(frozen=True)
class SizeWarning:
    """A group would get larger than somebody advises; ``refuse`` says that Atlassian would not take it at all."""

    size: int
    limit: int
    refuse: bool
    words: str
    source: str


@dataclass(frozen=True)
class GroupLimits:
    """Atlassian has raised these figures more than once, so they are configuration."""

    members_per_call: int = 100  # in one PATCH; nobody publishes a limit
    batch_below: int = 10_000  # the guide: a larger batch suspends every sync that follows
    warn_above: int = 20_000  # the guide: a larger group suspends every sync that follows
    advised_below: int = 250_000  # today's advice
    most: int = 290_000  # today's maximum

    def __post_init__(self) -> None:
        if not 1 <= self.members_per_call < self.batch_below:
            raise ValueError(f"members per call must be from 1 to {self.batch_below - 1}")

    def warnings(self, size: int) -> tuple[SizeWarning, ...]:
        """What to say about a group that has, or would have, ``size`` members; the most serious first."""
        found = []
        if size > self.most:
            words = f"{size} members are more than the {self.most} that a group may have"
            found.append(SizeWarning(size, self.most, True, words, TODAY))
        elif size >= self.advised_below:
            words = f"{size} members: Atlassian advises to stay below {self.advised_below}"
            found.append(SizeWarning(size, self.advised_below, False, words, TODAY))
        if size > self.warn_above:
            words = f"{size} members: above {self.warn_above} Atlassian may stop every sync that follows"
            found.append(SizeWarning(size, self.warn_above, False, words, GUIDE))
        return tuple(found)
