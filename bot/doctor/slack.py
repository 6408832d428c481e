"""What the doctor asks Slack: the token, its scopes, the channels, user groups, Socket Mode, the time."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from approvals.policy import Policy
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.manifest import SCOPES, bot_scopes
from bot.slack_out import SlackError, SlackOut

MOST_SKEW = 60  # seconds; from five minutes on, every request of Slack's is refused as too old
INSTALL = "Paste the manifest into the app's settings at https://api.slack.com/apps, then install it again."
TOKEN = "Copy the Bot User OAuth Token of the app into SLACK_BOT_TOKEN; install the app again if it was revoked."
REACH = "This machine must reach Slack over HTTPS; try again when it does."
INVITE = "Type /invite @gatehouse in the channel, or correct its id in the policy."


def token(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    facts.slack = SlackOut(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
    try:
        who, headers = facts.slack.introduce()
    except SlackError as error:
        yield fail("Slack", f"the bot token does not work ({error.code})", _mend(error))
        return
    facts.headers, facts.heard_at = headers, datetime.now(UTC)
    facts.have.add("Slack")
    team, served = str(who.get("team_id")), ", ".join(sorted(settings.slack_team_id))
    if team not in settings.slack_team_id:
        mend = "Put the id of the right workspace into SLACK_TEAM_ID, or install the app there and copy its token."
        yield fail("Slack", f"the token is of workspace {team} ({who.get('team')}), SLACK_TEAM_ID says {served}", mend)
    else:
        yield ok("Slack", f"workspace {who.get('team')} ({team}), as {who.get('user')}")


def scopes(facts: Facts) -> Iterator[Finding]:
    """What was granted against what the manifest asks for; Slack says it in the header of every answer."""
    said = facts.headers.get("x-oauth-scopes")
    if said is None:
        yield warn("Slack scopes", "Slack did not say which scopes the token has", "Compare them with docs/setup.md.")
        return
    granted = {scope.strip() for scope in said.split(",") if scope.strip()}
    wanted = set(bot_scopes())
    for scope in SCOPES:
        if scope.name in wanted - granted:
            yield fail("Slack scopes", f"{scope.name} is missing: {scope.reason}", INSTALL)
    surplus = sorted(granted - {scope.name for scope in SCOPES})
    if surplus:
        yield warn("Slack scopes", f"more than is needed: {', '.join(surplus)}", INSTALL)
    elif wanted <= granted:
        yield ok("Slack scopes", f"all {len(wanted)} of the manifest")


def channels(facts: Facts) -> Iterator[Finding]:
    for channel, where in _channels(facts.policy).items():
        yield _channel(facts.slack, channel, f"channel {where}")


def user_groups(facts: Facts) -> Iterator[Finding]:
    try:
        groups = facts.slack.user_groups()
    except SlackError as error:
        if error.code in ("plan_upgrade_required", "paid_teams_only"):
            mend = "Do without user groups in the policy, or move to a paid plan of Slack."
            yield warn("user groups", "the plan of this workspace has none", mend)
        else:
            yield warn("user groups", f"they can't be read ({error.code})", _mend(error))
        return
    yield ok("user groups", f"{len(groups)} can be read")


def manager_field(facts: Facts) -> Iterator[Finding]:
    """Which field of people's profiles could carry the manager. Whether people may edit it, Slack does not tell us."""
    admin = facts.policy.roles["admin"][0]
    try:
        fields = facts.slack.profile_fields(admin.user)
    except SlackError as error:
        yield warn("manager field", f"profiles can't be read ({error.code})", _mend(error))
        return
    named = [f"{field.get('label') or id} ({id})" for id, field in fields.items() if _may_name_a_person(field)]
    if named:
        found = f"{', '.join(named)} names a person; Slack does not tell whether people may edit it themselves"
    else:
        found = "no field of a profile names a person, so managers come from the file"
    yield ok("manager field", found)


def _may_name_a_person(field: dict[str, object]) -> bool:
    return bool(re.fullmatch(r"[UW][A-Z0-9]{2,30}", str(field.get("value", ""))))


def socket_mode(facts: Facts) -> Iterator[Finding]:
    """Only asked for when an app token is set; the address it gives is a key and is not shown."""
    secret = facts.settings.slack_app_token.get_secret_value()
    if not secret:
        yield ok("Socket Mode", "off: Slack posts to /slack/events")
        return
    try:
        SlackOut(secret, facts.settings.slack_api_url).open_socket()
    except SlackError as error:
        mend = "Make an app-level token with connections:write under Basic Information, and set SLACK_APP_TOKEN."
        yield fail("Socket Mode", f"the app token opens no connection ({error.code})", mend)
    else:
        yield ok("Socket Mode", "the app token opens a connection")


def clock(facts: Facts) -> Iterator[Finding]:
    yield compared(facts.headers.get("date", ""), facts.heard_at)


def compared(date: str, here: datetime) -> Finding:
    """Our clock against the Date of Slack's answer."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return warn(
            "clock", "Slack's answer has no date to compare with", "Look that this machine sets its clock by NTP."
        )
    seconds = round((here - there).total_seconds())
    if abs(seconds) < MOST_SKEW:
        return ok("clock", f"less than {MOST_SKEW} seconds from Slack's")
    way = "ahead of" if seconds > 0 else "behind"
    return fail(
        "clock", f"{abs(seconds)} seconds {way} Slack's", "Switch NTP on: soon every request is refused as stale."
    )


def _channels(policy: Policy) -> dict[str, str]:
    """Each channel of the policy once, with the first thing it is for."""
    named = {policy.channels.operators: "operators", policy.channels.security: "security"}
    named[policy.channels.requests] = "requests"
    for entitlement in policy.entitlements:
        named.setdefault(entitlement.channel, f"of {entitlement.name}")
    return named


def _channel(slack: SlackOut, channel: str, check: str) -> Finding:
    try:
        found = slack.channel(channel)
    except SlackError as error:
        if error.code == "channel_not_found":
            return fail(check, f"{channel} does not exist, or is private and the bot is not in it", INVITE)
        return fail(check, f"{channel} can't be read ({error.code})", _mend(error))
    named = f"#{found.get('name')} ({channel})"
    if found.get("is_archived"):
        return fail(check, f"{named} is archived", "Take it out of the archive, or name another channel in the policy.")
    if found.get("is_ext_shared") or found.get("is_pending_ext_shared"):
        mend = "Name a channel in the policy that only your own people are in."
        return fail(check, f"{named} is shared with another company", mend)
    if not found.get("is_member"):
        return fail(check, f"the bot is not in {named}", INVITE)
    return ok(check, f"the bot is in {named}")


def _mend(error: SlackError) -> str:
    if error.code.startswith("no answer") or error.code in ("ratelimited", "garbage") or error.code.startswith("HTTP"):
        return REACH
    return INSTALL if error.code == "missing_scope" else TOKEN


SLACK = (
    Check("Slack", ("the settings of Slack",), token),
    Check("Slack scopes", ("Slack",), scopes),
    Check("channels", ("Slack", "a policy"), channels),
    Check("user groups", ("Slack",), user_groups),
    Check("manager field", ("Slack", "a policy"), manager_field),
    Check("Socket Mode", ("some settings",), socket_mode),
    Check("clock", ("Slack",), clock),
)
