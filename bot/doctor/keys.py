"""When each key of Atlassian's expires: no API tells it, so the settings do."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.key_slots import WARN_AT, expiries

RENEW = "Make a new key before that day, set it and its date, and start again; docs/runbooks/rotate-a-key.md says how."


def is_near(days: int) -> bool:
    return days <= WARN_AT[0]


def keys(facts: Facts) -> Iterator[Finding]:
    today = datetime.now(UTC).date()
    for key in expiries(facts.settings):
        yield one(key.setting, key.expires, today, replaced=key.replaced)


def one(name: str, expires: date | None, today: date, *, replaced: bool = False) -> Finding:
    check = f"expiry of {name}"
    if expires is None:
        mend = f"Set {name}_EXPIRES to the day that Atlassian showed when the key was made, like 2027-05-31."
        return warn(check, "nobody has written down when it expires, and Atlassian's API does not tell", mend)
    days = (expires - today).days
    if replaced and is_near(days):
        when = f"it expires in {days} days" if days >= 0 else f"it expired on {expires:%Y-%m-%d}"
        mend = f"Make {name}_NEXT and its date the {name}, and start again."
        return warn(check, f"{when}, and the next one, which lasts longer, is there", mend)
    if days < 0:
        return fail(check, f"it expired on {expires:%Y-%m-%d}", RENEW)
    if is_near(days):
        return warn(check, f"it expires in {days} days, on {expires:%Y-%m-%d}", RENEW)
    return ok(check, f"it works until {expires:%Y-%m-%d}, {days} days from now")


KEYS = (Check("expiry of keys", ("some settings",), keys),)
