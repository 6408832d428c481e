"""What names, addresses and ids look like, and how much of somebody's words an answer repeats."""

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SEVERAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?: +[A-Za-z0-9][A-Za-z0-9._-]*)+")  # a name without its hyphens
LONGEST_NAME = 128
REQUEST_ID = re.compile(r"REQ-([0-9A-Z]{8,16})", re.IGNORECASE | re.ASCII)  # or İ would be an I
EMAIL = re.compile(r"[^\s@<>|,;:\"“”„«»()&]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
# https://developer.atlassian.com/platform/user-management/ shows both kinds: with the shard they came from, and older.
ACCOUNT = re.compile(
    r"[0-9]{1,10}:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24}", re.IGNORECASE | re.ASCII
)  # fmt: skip
ANY_ACCOUNT = re.compile(r"[A-Za-z0-9_|:-]{6,128}")  # where nothing but an account can be meant
QUOTES = re.compile('["“”„«»]')


def short(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def is_entitlement(text: str) -> bool:
    """One word as the policy writes names, or several: those are in no policy, but the nearest name can be said."""
    return bool(NAME.fullmatch(text) or (len(text) <= LONGEST_NAME and SEVERAL.fullmatch(text)))
