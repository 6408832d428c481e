"""The accounts and user groups of the sandbox workspace, as Slack shows them."""

import hashlib
from dataclasses import dataclass
from typing import Any

from bot.sandbox import seed

Json = dict[str, Any]
MANAGER_FIELD = "Xf0MANAGER1"  # a custom profile field of type user: Slack has no manager field of its own
FOREIGN_TEAM = "T0PARTNER01"
KINDS = ("member", "guest", "single_channel_guest", "deleted", "bot", "stranger")


@dataclass
class Account:
    """A Slack account; ``kind`` is the seed's word, the flags follow from it."""

    id: str
    handle: str
    given: str
    family: str
    email: str
    title: str
    timezone: str
    kind: str
    team_id: str = seed.SLACK_TEAM
    manager_id: str | None = None
    is_admin: bool = False
    updated: int = 1_760_000_000

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}".strip()

    @property
    def deleted(self) -> bool:
        return self.kind == "deleted"

    @property
    def foreign(self) -> bool:
        return self.kind == "stranger"


@dataclass
class UserGroup:
    """A user group (``@handle``) of the workspace."""

    id: str
    handle: str
    name: str
    members: list[str]  # Slack ids
    updated: int = 1_760_000_000


def accounts(company: seed.Company) -> dict[str, Account]:
    """Everyone of the company who is in Slack, with the bot and Slackbot, by Slack id."""
    everyone = [_account(company, person) for person in company.people if person.slack_kind != "none"]
    bot = Account(seed.SLACK_BOT_USER, "gatehouse", "Gatehouse", "", "", "", "Europe/Berlin", "bot")
    slackbot = Account("USLACKBOT", "slackbot", "Slackbot", "", "", "", "America/Los_Angeles", "member")
    return {account.id: account for account in [slackbot, bot, *everyone]}


def user_groups(company: seed.Company) -> dict[str, UserGroup]:
    """Two user groups that mirror groups of the company."""
    found = {}
    for number, (name, title) in enumerate((("org-admins", "Atlassian admins"), ("release-managers", "Releases"))):
        group = next((group for group in company.groups if group.name == name), None)
        if group:
            members = [company.person(handle).slack_id for handle in group.members]
            found[f"S0GROUP{number:03d}"] = UserGroup(f"S0GROUP{number:03d}", name, title, members)
    return found


def user_object(account: Account, *, with_email: bool) -> Json:
    """The user as users.info answers it. https://docs.slack.dev/reference/objects/user-object"""
    seen: Json = {
        "id": account.id,
        "team_id": account.team_id,
        "name": account.handle,
        "deleted": account.deleted,
        "profile": profile(account, with_email=with_email) | {"team": account.team_id},
        "is_bot": account.kind == "bot",
        "is_app_user": False,
        "updated": account.updated,
    }
    if account.kind == "bot":
        seen["profile"] |= {"api_app_id": seed.SLACK_APP_ID, "bot_id": seed.SLACK_BOT_ID, "always_active": True}
    if account.deleted:  # Slack leaves most fields out for a deactivated account
        return seen
    if account.foreign:
        seen["is_stranger"] = True
    return seen | {
        "color": "9f69e7",
        "real_name": account.name,
        "tz": account.timezone,
        "tz_label": "Central European Time",
        "tz_offset": 3600,
        "is_admin": account.is_admin,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": account.kind in ("guest", "single_channel_guest"),
        "is_ultra_restricted": account.kind == "single_channel_guest",
        "is_email_confirmed": True,
        "who_can_share_contact_card": "EVERYONE",
    }


def profile(account: Account, *, with_email: bool) -> Json:
    """The part of a profile that users.info and users.profile.get have in common."""
    digest = hashlib.md5(account.id.encode(), usedforsecurity=False).hexdigest()
    picture = f"https://secure.gravatar.com/avatar/{digest}.jpg"
    seen: Json = {
        "title": account.title,
        "phone": "",
        "skype": "",
        "real_name": account.name,
        "real_name_normalized": account.name,
        "display_name": account.handle,
        "display_name_normalized": account.handle,
        "status_text": "",
        "status_emoji": "",
        "status_emoji_display_info": [],
        "status_expiration": 0,
        "avatar_hash": f"g{digest[:11]}",
        "first_name": account.given,
        "last_name": account.family,
        "status_text_canonical": "",
    }
    seen |= {f"image_{size}": picture for size in (24, 32, 48, 72, 192, 512)}
    if with_email and account.email and not account.foreign:
        seen["email"] = account.email
    return seen


def profile_with_fields(account: Account, *, with_email: bool, labels: bool) -> Json:
    """The profile as users.profile.get answers it. https://docs.slack.dev/reference/methods/users.profile.get"""
    fields: Json = {}
    if account.manager_id:
        fields[MANAGER_FIELD] = {"value": account.manager_id, "alt": ""}
        if labels:
            fields[MANAGER_FIELD] |= {"label": "Manager"}
    return profile(account, with_email=with_email) | {"fields": fields}


def group_object(group: UserGroup, *, with_users: bool) -> Json:
    """The user group as usergroups.list answers it. https://docs.slack.dev/reference/objects/usergroup-object"""
    seen: Json = {
        "id": group.id,
        "team_id": seed.SLACK_TEAM,
        "is_usergroup": True,
        "is_subteam": True,
        "name": group.name,
        "description": "",
        "handle": group.handle,
        "is_external": False,
        "date_create": 1_760_000_000,
        "date_update": group.updated,
        "date_delete": 0,
        "auto_type": None,
        "created_by": "USLACKBOT",
        "updated_by": "USLACKBOT",
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
        "user_count": len(group.members),
    }
    return seen | ({"users": list(group.members)} if with_users else {})


def _account(company: seed.Company, person: seed.Person) -> Account:
    return Account(
        person.slack_id, person.handle, person.given, person.family, person.email, person.title, person.timezone,
        person.slack_kind, FOREIGN_TEAM if person.slack_kind == "stranger" else seed.SLACK_TEAM,
        company.person(person.manager).slack_id if person.manager else None,
    )  # fmt: skip
