"""Addresses as they are written: where to listen, and the ones of others that are called as they stand."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

# What may stand in a path and in a query (https://www.rfc-editor.org/rfc/rfc3986#appendix-A), but for the quote.
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9a-f:.]+")
_SIGNS = r"[A-Za-z0-9._~!$&()*+,;=:@/-]|%[0-9A-Fa-f]{2}"
_PATH, _QUERY = re.compile(rf"/(?:{_SIGNS})*"), re.compile(rf"(?:{_SIGNS}|\?)*")


class Hook(NamedTuple):
    """An address that somebody gave to be called: the host, and what is asked of it, sign for sign."""

    base: str
    target: str


def hook_of(address: str) -> Hook:
    """Raises ``ValueError`` where it can't be called: asked when settings are read, and at the call."""
    parts = urlsplit(address)
    path = parts.path or "/"
    right = _HOST.fullmatch(parts.hostname or "") and _PATH.fullmatch(path) and _QUERY.fullmatch(parts.query)
    if not right or "#" in address or "@" in parts.netloc or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("not an address that can be called as it stands")
    return Hook(f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path)


def listening_at(host: str, port: int) -> str:
    """Host and port as one word; of IPv6 nobody could tell them apart without the brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
