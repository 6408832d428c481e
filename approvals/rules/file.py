"""Reads the policy file and refuses what is wrong in it: file, line, what is wrong, what to write instead."""

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from approvals.rules.checks import Mistake, mistakes
from approvals.rules.lines import Lines, Path
from approvals.rules.shape import (
    Defaults,
    Directory,
    Entitlement,
    File,
    OnCall,
    Person,
    Protected,
    Role,
    Stage,
    Table,
    Verb,
    VerbName,
)
from approvals.rules.words import shown

LARGEST = 1_000_000  # characters
LATER_KINDS = ("roles", "product", "site", "project_role")

EXAMPLES = {
    "about": 'about = "Administer Jira in the EU site"',
    "account": 'account = "712020:…"',
    "admin": 'admin = [{slack = "T…/U…", account = "712020:…"}, {…}]',
    "a_day": "a_day = 25",
    "a_day_percent": "a_day_percent = 2",
    "an_hour": "an_hour = 10",
    "approvals": "approvals = 1",
    "asking": "[asking] with open_at_once and an_hour",
    "audit": 'audit = "C0123ABCD"',
    "break_glass": "break_glass = true",
    "ceilings": "[ceilings] with the figures that differ",
    "confirm_after": 'confirm_after = "1m"',
    "different_groups": "different_groups = true",
    "drift": 'drift = "report"',
    "emergency": "emergency = true",
    "escalate_after": 'escalate_after = "8h"',
    "escalation": 'escalation = [["owner"], ["role:admin"]]',
    "field": 'field = "Xf0123ABCD"',
    "field_is": 'field_is = "scim"',
    "file": 'file = "rota.toml"',
    "incident": 'incident = "INC-[0-9]+"',
    "instead": 'instead = ["eu-jira-users"]',
    "jsm": 'jsm = "the id of the schedule"',
    "levels": "levels = 1",
    "on_call": 'on_call = "oncall:primary"',
    "open_at_once": "open_at_once = 20",
    "pagerduty": 'pagerduty = "the id of the schedule"',
    "pagerduty_policy": 'pagerduty_policy = "the id of the escalation policy"',
    "pause": 'pause = "5m"',
    "private": 'private = "G0123ABCD"',
    "remind_after": 'remind_after = "4h"',
    "second_person": "second_person = true",
    "sso": "sso = true",
    "stages": 'stages = [{approvers = ["manager"]}, {approvers = ["role:security"]}]',
    "ticket": 'ticket = "[A-Z]+-[0-9]+"',
    "user_groups": 'user_groups = "admins"',
    "who": 'who = ["usergroup:S0123ABCD"]',
    "approvers": 'approvers = ["manager"]',
    "ask_for_others": 'ask_for_others = ["manager", "role:helpdesk"]',
    "advised_below": "advised_below = 250000",
    "at_least": "at_least = 10",
    "batch_below": "batch_below = 10000",
    "channel": 'channel = "C0123ABCD"',
    "channels": "[channels] with requests, operators and security",
    "group": 'group = "the group\'s name in Atlassian"',
    "id": 'id = "the id of the directory"',
    "jira_group": 'jira_group = "the group\'s name at the site"',
    "key": 'key = "SCIM_KEY_EUROPE"',
    "lifetime": 'lifetime = "24h"',
    "limits": "[limits] with the figures that differ",
    "listed": "listed = true",
    "members_per_call": "members_per_call = 100",
    "most": "most = 290000",
    "longest": 'longest = "8h"',
    "name": 'name = "Harbour Works"',
    "operators": 'operators = "C0123ABCD"',
    "organization": "[organization] with name",
    "owner": 'owner = {slack = "T…/U…", account = "712020:…"}',
    "requests": 'requests = "C0123ABCD"',
    "protected": "[[protected]] with account and why",
    "removal_only": "removal_only = true",
    "reconciliation": "[reconciliation] with drift",
    "required": "required = true",
    "resource": 'resource = "ari:cloud:jira-software::site/…"',
    "role": 'role = {name = "atlassian/user", resource = "ari:cloud:jira-software::site/…"}',
    "roles": "[roles] with at least two admins",
    "security": 'security = "C0123ABCD"',
    "slack": 'slack = "T…/U…"',
    "sources": 'sources = ["file"]',
    "take_away": "take_away = true",
    "two_admins_above": "two_admins_above = true",
    "tier": 'tier = "low"',
    "unmanaged": 'unmanaged = "warn"',
    "why": 'why = "emergency administrator"',
    "warn_above": "warn_above = 20000",
    "who_may_ask": 'who_may_ask = ["everyone"]',
}
CHOICES = {
    "owner": ("ours", "fed"),
    "unmanaged": ("warn", "refuse"),
    "user_groups": ("admins", "everyone"),
    "field_is": ("scim", "protected"),
    "drift": ("report", "repair"),
}
VERBS = get_args(VerbName)
EXPECTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number without quotes",
    "bool_type": "true or false without quotes",
    "list_type": "a list in square brackets",
    "model_type": "a table",
    "dict_type": "a table",
    "union_tag_not_found": "a word in quotes or a table {slack, account}",
    "union_tag_invalid": "a word in quotes or a table {slack, account}",
}


class PolicyProblem(Exception):
    """The policy can't be used; each sentence says file, line, what is wrong and what to write instead."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


def read_policy(text: str, file: str, *, judged: bool = False) -> File:
    """The file, well shaped and possible; otherwise every mistake found in it at once.

    ``judged``: an earlier release has looked for what could never work or be got round, by the rules it had.
    """
    document = _toml(text, file)
    lines = Lines(text)
    try:
        written = File.model_validate(document)
    except ValidationError as error:
        found = [_in_our_words(detail) for detail in error.errors(include_url=False)]
        raise _problem(found, lines, file) from None
    impossible = [] if judged else list(mistakes(written))
    if impossible:
        raise _problem(impossible, lines, file)
    return written


def _problem(found: Iterable[Mistake], lines: Lines, file: str) -> PolicyProblem:
    """In the order of the file, each sentence once."""
    placed = sorted({(lines.of(mistake.path), f"{mistake.what}; {mistake.mend}") for mistake in found})
    return PolicyProblem(f"{file}, line {line}: {sentence}" for line, sentence in placed)


def _toml(text: str, file: str) -> dict[str, object]:
    if len(text) > LARGEST:
        raise PolicyProblem([f"{file}, line 1: this is longer than {LARGEST:,} characters; is it the right file?"])
    try:
        text.encode()
        return tomllib.loads(text)
    except RecursionError:
        raise PolicyProblem([f"{file}, line 1: lists or tables are nested too deeply; write them flat"]) from None
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise PolicyProblem([f"{file}, line {line}: this is not readable text; save the file as UTF-8"]) from None
    except ValueError as error:  # tomllib's own error, and int() on a number of thousands of digits
        raise PolicyProblem([_not_toml(str(error), text, file)]) from None


def _not_toml(error: str, text: str, file: str) -> str:
    at = re.search(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$", error)
    if at is None:
        return f"{file}, line 1: this is not TOML; check quotes, brackets and numbers"
    line = at[1] or text.rstrip("\n").count("\n") + 1
    what = shown(error[: at.start()]).strip('"')
    return f"{file}, line {line}: this is not TOML ({what}); check quotes, brackets and equals signs here"


def _in_our_words(detail: ErrorDetails) -> Mistake:
    """One finding of pydantic as a mistake of ours; nothing of its own text or of the value is kept."""
    path: Path = tuple(part for part in detail["loc"] if part not in ("<word>", "<table>", "[key]"))
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    example = EXAMPLES.get(key, f"a table [{'.'.join(map(str, path))}]")
    match detail["type"]:
        case "policy":
            return Mistake(path, detail["ctx"]["what"], detail["ctx"]["mend"])
        case "extra_forbidden":
            return _unknown(path, key)
        case "missing":
            return Mistake(path, f"{_place(path)} is missing", f"add {example}")
        case "literal_error" if path[:1] == ("verbs",):
            close = get_close_matches(key, VERBS, n=1)
            mend = f"did you mean [verbs.{close[0]}]?" if close else f"known here: {', '.join(VERBS)}"
            return Mistake(path, f"there is no verb {shown(key)}", mend)
        case "literal_error":
            words = CHOICES[key]
            return Mistake(
                path,
                f"{_place(path)} is neither {' nor '.join(words)}",
                f"write {' or '.join(f'{key} = {shown(word)}' for word in words)}",
            )
        case kind:
            return Mistake(path, f"{_place(path)} must be {EXPECTED.get(kind, 'something else')}", f"write {example}")


def _unknown(path: Path, key: str) -> Mistake:
    known = tuple(_table(path[:-1]).model_fields)
    if path[0] == "entitlements" and len(path) == 3 and key in LATER_KINDS:
        return Mistake(path, f"an entitlement can't give `{key}` yet", "write one of group, jira_group and role")
    close = get_close_matches(key.casefold(), known, n=1)
    mend = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
    return Mistake(path, f"{_place(path)} is not known", mend)


def _table(path: Path) -> type[Table]:
    """The table a path leads to, by the shape of the file."""
    match path:
        case ():
            return File
        case ("entitlements", _):
            return Entitlement
        case ("entitlements", _, "role"):
            return Role
        case ("verbs", _):
            return Verb
        case ("entitlements" | "verbs", _, "stages", _):
            return Stage
        case ("oncall", _):
            return OnCall
        case ("protected", _):
            return Protected
        case ("directories", _):
            return Directory
        case ("defaults",):
            return Defaults
        case (str(name),):
            found = File.model_fields[name].annotation
            kinds = [kind for kind in (found, *get_args(found)) if isinstance(kind, type) and issubclass(kind, Table)]
            return kinds[0] if kinds else File
        case _:
            return Person


def _place(path: Path) -> str:
    """`longest` of entitlements.eu-jira-admins, `admin` entry 2 of roles."""
    last = max((at for at, part in enumerate(path) if isinstance(part, str)), default=0)
    where = f" of {_dotted(path[:last])}" if last else ""
    return f"`{_dotted(path[last : last + 1])}`{_dotted(path[last + 1 :])}{where}"


def _dotted(path: Path) -> str:
    parts = (f" entry {part + 1}" if isinstance(part, int) else "." + shown(part).strip('"') for part in path)
    return "".join(parts).removeprefix(".")
