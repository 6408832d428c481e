"""How large a group and a batch may get, and how often Atlassian may be called: the figures, and who names them."""

from dataclasses import dataclass

GUIDE = "the guide to Atlassian Access APIs"
TODAY = "Atlassian's support pages on user provisioning"
RATES = "https://developer.atlassian.com/cloud/admin/organization/rest/intro/ (rate limits)"
OURS = "ours: Atlassian publishes no figure"


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


@dataclass(frozen=True)
class CallLimits:
    """How many calls a minute one credential may make. Atlassian has lowered these figures before: configuration."""

    events: int = 10  # RATES, by user and by path: events, one event and their actions; 60 and 50 until May 2025
    events_stream: int = 50  # RATES, by path
    last_active: int = 200  # RATES, of an organization
    others: int = 1200  # OURS
    kept: float = 0.2  # of what may come at once, for what must not wait
