"""When each key of Atlassian's expires: no API tells it, so the settings do."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.settings import MORE_SCIM_KEYS, Settings

WARN_AT = (60, 30, 14, 7, 3, 1)  # days before the end
RENEW = "Make a new key before that day, set it and its date, and start again; docs/setup.md says how."


def expiries(settings: Settings) -> Mapping[str, date | None]:
    """By the setting of each key that is there, the day after which it does not work; None where nobody wrote it down.

    Organization keys live a year at most, SCIM keys made since 2025 one year
    (https://support.atlassian.com/organization-administration/docs/manage-an-organization-with-the-admin-apis/).
    """
    found: dict[str, date | None] = {}
    for key in ("atlassian_org_api_key", "atlassian_scim_api_key", "atlassian_site_api_token"):
        if getattr(settings, key).get_secret_value():
            found[key.upper()] = getattr(settings, f"{key}_expires")
    for name in settings.scim_keys:
        found[f"{MORE_SCIM_KEYS}{name}"] = settings.scim_key_expiries.get(name)
    return found


def is_near(days: int) -> bool:
    return days <= WARN_AT[0]


def keys(facts: Facts) -> Iterator[Finding]:
    today = datetime.now(UTC).date()
    for name, expires in expiries(facts.settings).items():
        yield one(name, expires, today)


def one(name: str, expires: date | None, today: date) -> Finding:
    check = f"expiry of {name}"
    if expires is None:
        mend = f"Set {name}_EXPIRES to the day that Atlassian showed when the key was made, like 2027-05-31."
        return warn(check, "nobody has written down when it expires, and Atlassian's API does not tell", mend)
    days = (expires - today).days
    if days < 0:
        return fail(check, f"it expired on {expires:%Y-%m-%d}", RENEW)
    if is_near(days):
        return warn(check, f"it expires in {days} days, on {expires:%Y-%m-%d}", RENEW)
    return ok(check, f"it works until {expires:%Y-%m-%d}, {days} days from now")


KEYS = (Check("expiry of keys", ("some settings",), keys),)
