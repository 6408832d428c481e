"""The words a policy file is written in: what each value must look like, and how a wrong one is refused."""

import re
import unicodedata
from datetime import timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pydantic_core import PydanticCustomError

from approvals.durations import parse_duration

ROLES = ("admin", "security", "auditor", "helpdesk")
TIERS = ("low", "medium", "high")
MANAGER_SOURCES = ("slack_profile", "file", "map")
LOOKED_UP = ("usergroup", "group", "oncall")  # sources of people that are read from Slack, Atlassian or a rota
MOST_APPROVALS = 9
LONGEST_REASON = 1000

# Atlassian's default access groups and built-in groups. A group of such a name can't be pushed by SCIM: the API
# answers success and the group never reaches the site. Who leaves one may lose a whole product.
# https://support.atlassian.com/user-management/docs/default-groups-and-permissions/
DEFAULT_GROUPS = (
    "administrators",
    "confluence-administrators*",
    "confluence-guests*",
    "confluence-users*",
    "jira-administrators*",
    "jira-core-users*",
    "jira-product-discovery-users*",
    "jira-servicedesk-users*",
    "jira-servicemanagement-users*",
    "jira-software-users*",
    "jira-users*",
    "jira-workmanagement-users*",
    "org-admins",
    "site-admins",
    "system-administrators",
)


def is_default_group(name: str) -> bool:
    """Whether Atlassian keeps this name for a group of its own."""
    plain = unicodedata.normalize("NFKC", name).casefold().strip()
    return any(fnmatchcase(plain, pattern) for pattern in DEFAULT_GROUPS)


def wrong(what: str, mend: str) -> PydanticCustomError:
    """A refusal in our own words; `rules.file` puts file and line before it."""
    return PydanticCustomError("policy", "{what}; {mend}", {"what": what, "mend": mend})


def shown(value: str) -> str:
    """A value of the file, fit to stand in a sentence: one line, not long."""
    plain = "".join(char if char.isprintable() else "?" for char in value)
    return f'"{plain[:60]}…"' if len(plain) > 60 else f'"{plain}"'


def one_line(value: str) -> str:
    if not value.strip() or len(value) > 300 or not value.isprintable():
        raise wrong("this text is empty, longer than 300 characters or more than one line", "write one short line")
    return value


def slack_user(value: str) -> str:
    if not re.fullmatch(r"[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}", value):
        raise wrong(f"{shown(value)} is not a workspace and a Slack user", 'write both ids, like "T0123ABCD/U0123ABCD"')
    return value


def account_id(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9_|:-]{6,128}", value):
        raise wrong(
            f"{shown(value)} is not an Atlassian account id",
            'copy the id from the address of the person\'s page in Atlassian administration, like "712020:0a1b…"',
        )
    return value


def channel_id(value: str) -> str:
    if not re.fullmatch(r"[CG][A-Z0-9]{2,20}", value):
        raise wrong(
            f"{shown(value)} is not a Slack channel id",
            'copy the id from the foot of "View channel details", like "C0123ABCD"',
        )
    return value


def setting_name(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{2,60}", value):  # may be the key itself: never shown
        raise wrong(
            "`key` holds the name of the setting with the SCIM key, never the key itself",
            'write a name like "SCIM_KEY_EUROPE" and put the key into that setting',
        )
    return value


def directory_id(value: str) -> str:
    if not re.fullmatch(r"[0-9a-zA-Z-]{8,64}", value):
        raise wrong(f"{shown(value)} is not a directory id", "copy it from the directory's page under Security")
    return value


def group_name(value: str) -> str:
    if not value or value != value.strip() or len(value) > 255 or not value.isprintable():
        raise wrong(f"{shown(value)} is not the name of a group", "write it exactly as Atlassian shows it")
    return value


def role_id(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}/[a-z0-9-]{1,60}", value):
        raise wrong(f"{shown(value)} is not the id of a role", 'write it as Atlassian does, like "atlassian/user"')
    return value


def resource_id(value: str) -> str:
    if not re.fullmatch(r"ari:cloud:[A-Za-z0-9._:/-]{3,200}", value):
        mend = 'copy the id of the workspace, like "ari:cloud:jira-software::site/…"'
        raise wrong(f"{shown(value)} is not the id of a product's workspace", mend)
    return value


def duration(value: str) -> str:
    try:
        parse_duration(value)
    except ValueError as error:
        what, _, mend = str(error).partition("; ")
        raise wrong(what, mend) from None
    return value


def lifetime(value: str) -> str:
    if parse_duration(duration(value)) is None:
        raise wrong("a question can't stay open until revoked", 'write how long, like lifetime = "24h"')
    return value


def between_two_reads(value: str) -> str:
    length = parse_duration(duration(value))
    if length is None or not timedelta(minutes=1) <= length <= timedelta(hours=1):
        raise wrong(
            "a difference is believed after a minute at least and an hour at most", 'write confirm_after = "1m"'
        )
    return value


def tier(value: str) -> str:
    if value not in TIERS:
        raise wrong(f"there is no tier {shown(value)}", 'write tier = "low", "medium" or "high"')
    return value


def approvals(value: int) -> int:
    if value < 1:
        raise wrong("somebody must approve", "write approvals = 1")
    if value > MOST_APPROVALS:
        raise wrong("nobody would ever get so many approvals", f"write a number from 1 to {MOST_APPROVALS}")
    return value


def characters(value: int) -> int:
    if not 1 <= value <= LONGEST_REASON:
        raise wrong("that is no sensible length for a reason", f"write a number from 1 to {LONGEST_REASON}")
    return value


def positive(value: int) -> int:
    if value < 1:
        raise wrong("that is no sensible limit", "write a number from 1 on, or leave the line out")
    return value


def percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise wrong("that is no percentage", "write a number from 0 to 100")
    return value


def manager_source(value: str) -> str:
    if value not in MANAGER_SOURCES:
        raise wrong(f"there is no manager source {shown(value)}", f"use {', '.join(map(shown, MANAGER_SOURCES))}")
    return value


def field_id(value: str) -> str:
    if not re.fullmatch(r"Xf[A-Z0-9]{2,20}", value):
        raise wrong(f"{shown(value)} is not the id of a profile field", 'write it as Slack does, like "Xf0123ABCD"')
    return value


def pattern(value: str) -> str:
    """A pattern people's words are held against: short, and one that can't take for ever."""
    mend = 'write one like "[A-Z]+-[0-9]+"'
    if not value or len(value) > 80 or not value.isprintable():
        raise wrong("this pattern is empty or longer than 80 characters", mend)
    try:
        re.compile(value)
    except re.error:
        raise wrong(f"{shown(value)} is not a pattern that can be read", mend) from None
    if re.search(r"[+*}]\)*\)[+*{]", value):  # (a+)+ takes for ever on some texts
        raise wrong(f"{shown(value)} repeats what is repeated already, which can take for ever", mend)
    return value


def schedule_id(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{3,64}", value):
        raise wrong(f"{shown(value)} is not the id of a schedule", "copy it from the address of the schedule's page")
    return value


def _role_word(name: str) -> None:
    if name not in ROLES:
        raise wrong(f"there is no role {shown(name)}", f"use one of {', '.join(f'role:{role}' for role in ROLES)}")


def _other_word(value: str, words: tuple[str, ...]) -> PydanticCustomError:
    close = get_close_matches(value, words, n=1)
    guess = f"did you mean {shown(close[0])}?" if close else f"use {', '.join(words)} or a table {{slack, account}}"
    return wrong(f"{shown(value)} is not a source", guess)


def _looked_up(kind: str, name: str) -> None:
    """The name of a source that is read elsewhere."""
    if kind == "usergroup" and not re.fullmatch(r"S[A-Z0-9]{2,20}", name):
        mend = 'copy the id from the address of the group in Slack, like "usergroup:S0123ABCD"'
        raise wrong(f"{shown(name)} is not the id of a Slack user group", mend)
    if kind == "group":
        group_name(name)
    if kind == "oncall" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", name):
        mend = 'write "oncall:primary" and [oncall.primary]'
        raise wrong(f"{shown(name)} can't be the name of an on-call source", mend)


def approver(value: str) -> str:
    """A source of approvers that is one word; people are tables, so that their account is known."""
    kind, colon, name = value.partition(":")
    if kind in ("user", "account") and colon:
        raise wrong(
            f"{shown(value)} leaves half of the person open, and an approver needs both ids",
            'write {slack = "T…/U…", account = "712020:…"} in its place',
        )
    if value == "everyone":
        raise wrong("everyone can't be the approver", 'name who answers, like "manager" or "owner"')
    if kind == "role" and colon:
        _role_word(name)
    elif kind in LOOKED_UP and colon:
        _looked_up(kind, name)
    elif value not in ("manager", "owner"):
        raise _other_word(value, ("manager", "owner", "role:security", "role:admin", "usergroup:S…", "oncall:…"))
    return value


def asker(value: str) -> str:
    """A source of people who may ask."""
    kind, colon, name = value.partition(":")
    if kind == "role" and colon:
        _role_word(name)
    elif kind in LOOKED_UP and colon:
        _looked_up(kind, name)
    elif kind == "user" and colon:
        slack_user(name)
    elif kind == "account" and colon:
        account_id(name)
    elif value == "manager":
        raise wrong("the manager asks for somebody else, never as such", 'write ask_for_others = ["manager"]')
    elif value not in ("everyone", "owner"):
        raise _other_word(value, ("everyone", "owner", "role:helpdesk", "role:admin", "usergroup:S…"))
    return value


def asker_for_others(value: str) -> str:
    return value if value == "manager" else asker(value)
