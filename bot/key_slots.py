"""Each credential with both of its slots, out of the settings: the key, and the next one for when it is changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from pydantic import SecretStr

from approvals.policy import ScimDirectory
from bot.atlassian.keys import KeySlots, Slot
from bot.settings import MORE_SCIM_KEYS, NEXT, Settings, SettingsProblem

WARN_AT = (60, 30, 14, 7, 3, 1)  # days before the end
SCIM_KEY = "ATLASSIAN_SCIM_API_KEY"  # the setting of the first directory


def organization_slots(settings: Settings) -> KeySlots:
    return _slots(settings, "atlassian_org_api_key")


def site_slots(settings: Settings) -> KeySlots:
    return _slots(settings, "atlassian_site_api_token")


def scim_slots(settings: Settings, directory: ScimDirectory) -> KeySlots:
    """Those of a directory of ours; ``SettingsProblem`` says which setting lacks."""
    key = key_of(settings, directory)
    if directory.id == settings.atlassian_scim_directory_id:
        return _slots(settings, "atlassian_scim_api_key")
    name = _short_name(directory)
    further = settings.scim_keys.get(f"{name}{NEXT}")
    return KeySlots(
        f"{MORE_SCIM_KEYS}{name}",
        Slot(key, settings.scim_key_expiries.get(name)),
        Slot(further, settings.scim_key_expiries.get(f"{name}{NEXT}")) if further else None,
    )


def key_of(settings: Settings, directory: ScimDirectory) -> SecretStr:
    """The SCIM key of a directory of ours; ``SettingsProblem`` says which setting lacks."""
    if directory.key == SCIM_KEY and directory.id != settings.atlassian_scim_directory_id:
        wanted = f"set {SCIM_KEY}, and ATLASSIAN_SCIM_DIRECTORY_ID to that id"
        raise SettingsProblem([f"The SCIM directory {directory.id} of the policy has no key: {wanted}."])
    return settings.scim_key(directory.id, _short_name(directory))


def _short_name(directory: ScimDirectory) -> str:
    return (directory.key or "").upper().removeprefix(MORE_SCIM_KEYS)


def _slots(settings: Settings, name: str) -> KeySlots:
    current = Slot(getattr(settings, name), getattr(settings, f"{name}_expires"))
    further: SecretStr = getattr(settings, f"{name}_next")
    beside = Slot(further, getattr(settings, f"{name}_next_expires")) if further.get_secret_value() else None
    return KeySlots(name.upper(), current, beside)


@dataclass(frozen=True)
class Expiry:
    """A key that was given, by its setting, and the last day on which it works; None where nobody wrote it down."""

    setting: str
    expires: date | None
    replaced: bool = False  # the next one is there and lasts longer


def expiries(settings: Settings) -> tuple[Expiry, ...]:
    """Every key of Atlassian's that was given, the next ones too.

    Organization keys live a year at most, SCIM keys made since 2025 one year
    (https://support.atlassian.com/organization-administration/docs/manage-an-organization-with-the-admin-apis/).
    """
    return tuple(_expiries(settings))


def _expiries(settings: Settings) -> Iterable[Expiry]:
    for key in ("atlassian_org_api_key", "atlassian_scim_api_key", "atlassian_site_api_token"):
        for name in (key, f"{key}{NEXT.lower()}"):
            if getattr(settings, name).get_secret_value():
                expires, later = getattr(settings, f"{name}_expires"), getattr(settings, f"{key}_next_expires")
                yield Expiry(name.upper(), expires, name == key and _outlives(expires, later))
    for name in settings.scim_keys:
        expires = settings.scim_key_expiries.get(name)
        later = settings.scim_key_expiries.get(f"{name}{NEXT}") if f"{name}{NEXT}" in settings.scim_keys else None
        yield Expiry(f"{MORE_SCIM_KEYS}{name}", expires, _outlives(expires, later))


def _outlives(expires: date | None, later: date | None) -> bool:
    return expires is not None and later is not None and later > expires
