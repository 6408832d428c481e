"""The settings of a bot between both stand-ins, without starting any of them."""

from bot.sandbox import seed
from bot.settings import Settings, load_settings


def settings_for(slack: str, atlassian: str, database_url: str, *, socket: bool = False, **more: str) -> Settings:
    """As an operator sets them: with the app's token for Socket Mode, or with the signing secret for HTTP."""
    by_http, by_socket = {"SLACK_SIGNING_SECRET": seed.SLACK_SIGNING_SECRET}, {"SLACK_APP_TOKEN": seed.SLACK_APP_TOKEN}
    return load_settings(
        {
            **(by_socket if socket else by_http),
            "SLACK_BOT_TOKEN": seed.SLACK_BOT_TOKEN,
            "SLACK_TEAM_ID": seed.SLACK_TEAM,
            "SLACK_API_URL": f"{slack}/api/",
            "ATLASSIAN_API_URL": atlassian,
            "ATLASSIAN_ORG_ID": seed.ORG_ID,
            "ATLASSIAN_ORG_API_KEY": seed.ORG_API_KEY,
            "ATLASSIAN_SCIM_DIRECTORY_ID": seed.OURS.id,
            "ATLASSIAN_SCIM_API_KEY": seed.OURS.key,
            "DATABASE_URL": database_url,
            **more,
        },
        env_file=None,
    )


def site_settings(atlassian: str) -> dict[str, str]:
    """Of the Jira site, which the sandbox is as well."""
    token = {"ATLASSIAN_SITE_EMAIL": seed.SITE_EMAIL, "ATLASSIAN_SITE_API_TOKEN": seed.SITE_API_TOKEN}
    return {"ATLASSIAN_SITE_URL": atlassian, **token}
