"""The whole file of AUDIT_LOG_FILE after a probe: what stood in it, and what was learnt."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bot.atlassian.event_kinds import ACTOR, read_config

BY = ("credential", *ACTOR)  # two keys that show alike in all of these are one
Table = Mapping[str, Any]


def before(file: Path | None) -> Table:
    """What stands in it now; nothing where none is named, or it is still to be made.

    ``SettingsProblem`` where it can't be used.
    """
    if file is None or not file.exists():
        return {}
    read_config(file)
    table: Table = tomllib.loads(file.read_text(encoding="utf-8")).get("audit_log", {})
    return table


def after(table: Table, actions: Mapping[str, str], actor: Mapping[str, str], seconds: float) -> str:
    """The file as it is to be, in one piece: TOML takes no table twice, so what is only added to the end breaks it."""
    plain = {name: value for name, value in table.items() if not isinstance(value, dict | list)}
    slowest = plain.get("seen_after_seconds", 0)
    plain["seen_after_seconds"] = max(round(seconds), slowest) if isinstance(slowest, int) else round(seconds)
    lines = ["[audit_log]", *_pairs(plain)]
    lines += ["", "[audit_log.actions]", *_pairs(_actions(table.get("actions", {}), actions))]
    for one in _actors(table.get("actor", []), actor):
        lines += ["", "[[audit_log.actor]]", *_pairs(one)]
    return "\n".join(lines) + "\n"


def _actions(known: Table, learnt: Mapping[str, str]) -> dict[str, Any]:
    """A second key may show the same thing under another name; then both count."""
    together = dict(known)
    for does, action in learnt.items():
        there = _listed(known.get(does, []))
        every = [*there, *([action] if action not in there else [])]
        together[does] = every[0] if len(every) == 1 else every
    return together


def _actors(known: Any, learnt: Mapping[str, str]) -> Iterable[Table]:
    there = [known] if isinstance(known, dict) else list(known)
    fresh = any(learnt.get(name) for name in ACTOR) and not any(_alike(one, learnt) for one in there)
    return [*there, *([learnt] if fresh else [])]


def _alike(one: Table, other: Table) -> bool:
    return all(_shown(one, name) == _shown(other, name) for name in BY)


def _shown(actor: Table, name: str) -> str:
    return str(actor.get(name) or ("organization" if name == "credential" else ""))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _pairs(table: Table) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").isalnum() else _value(name)


def _value(value: Any) -> str:
    """In TOML: what JSON says of it is right, but that DEL is to be escaped (https://toml.io/en/v1.0.0#string)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
