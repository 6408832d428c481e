"""Everything the bot says in Slack, within Slack's budget and with errors that say whether to try again."""

import json
import re
import time
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import URLError

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from approvals.ports import OutsideError
from bot.atlassian.budget import is_urgent
from bot.slack_budget import Budget
from bot.turn import TURN
from handlers.cards import Drawing

# The channel can't be posted to until a person does something about it.
CLOSED = {
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "no_permission",
    "externally_shared",
}
GONE = {"message_not_found", "cant_update_message"}
NO_THREAD = {"cannot_reply_to_message", "thread_not_found", "message_not_found"}  # its first message was deleted
CODE = re.compile(r"[a-z0-9_]{1,80}|HTTP [0-9]{3}")
SAYS = ("chat.", "views.", "files.completeUploadExternal")  # what people see
WAIT = re.compile(r"[0-9]{1,4}")  # seconds

log = structlog.get_logger()


class SlackError(OutsideError):
    """Slack did not do what was asked; ``code`` is Slack's own word for why."""

    def __init__(self, code: str, *, retry: bool, after: float | None = None, maybe_done: bool = False) -> None:
        super().__init__(f"Slack: {code}", retry=retry, after=after, maybe_done=maybe_done)
        self.code = code


class SlackOut:
    """The few methods the bot needs, each one call."""

    def __init__(self, token: str, base_url: str, *, timeout: int = 10, budget: Budget | None = None) -> None:
        # No retry handlers: a lost answer to chat.postMessage repeated by the library would be a doubled message.
        self._client = WebClient(token=token, base_url=base_url, timeout=timeout, retry_handlers=[])
        self._quick = WebClient(token=token, base_url=base_url, timeout=2, retry_handlers=[])
        self._budget = budget or Budget()
        self._direct: dict[str, str] = {}

    def post(self, channel: str, drawing: Drawing, *, thread: str = "", about: str = "") -> str:
        """Post a message; returns its ``ts``. https://docs.slack.dev/reference/methods/chat.postMessage"""
        self._budget.take("chat.postMessage", channel, about, first=is_urgent())
        metadata = {"event_type": "gatehouse", "event_payload": {"about": about}} if about else None
        answer = self._call(
            "chat.postMessage",
            channel=channel,
            text=drawing.text,
            blocks=drawing.blocks,
            unfurl_links=False,
            unfurl_media=False,
            **({"thread_ts": thread} if thread else {}),
            **({"metadata": metadata} if metadata else {}),
        )
        return str(answer["ts"])

    def update(self, channel: str, ts: str, drawing: Drawing) -> None:
        """Redraw a message; text and blocks together, always. https://docs.slack.dev/reference/methods/chat.update"""
        self._budget.take("chat.update", channel, f"{channel}/{ts}")
        self._call("chat.update", channel=channel, ts=ts, text=drawing.text, blocks=drawing.blocks)

    def whisper(self, channel: str, user: str, drawing: Drawing) -> None:
        """A message only one person sees, where they are. https://docs.slack.dev/reference/methods/chat.postEphemeral"""
        self._call("chat.postEphemeral", channel=channel, user=user, text=drawing.text, blocks=drawing.blocks)

    def direct(self, user: str) -> str:
        """The channel of the direct messages with somebody. https://docs.slack.dev/reference/methods/conversations.open"""
        if user not in self._direct:
            self._direct[user] = str(self._call("conversations.open", users=user)["channel"]["id"])
        return self._direct[user]

    def link(self, channel: str, ts: str) -> str:
        """https://docs.slack.dev/reference/methods/chat.getPermalink"""
        return str(self._call("chat.getPermalink", channel=channel, message_ts=ts)["permalink"])

    def channel(self, channel: str) -> dict[str, Any]:
        """https://docs.slack.dev/reference/methods/conversations.info"""
        return dict(self._call("conversations.info", channel=channel)["channel"])

    def history(self, channel: str) -> list[dict[str, Any]]:
        """The newest messages of a channel, the newest first; needs a scope that nobody has to give.

        https://docs.slack.dev/reference/methods/conversations.history
        """
        return list(self._call("conversations.history", channel=channel, limit=100).get("messages", []))

    def user(self, user: str) -> dict[str, Any]:
        """https://docs.slack.dev/reference/methods/users.info"""
        return dict(self._call("users.info", user=user)["user"])

    def profile_fields(self, user: str) -> dict[str, dict[str, Any]]:
        """A profile's own fields, by their id. https://docs.slack.dev/reference/methods/users.profile.get"""
        profile = self._call("users.profile.get", user=user, include_labels=True)["profile"]
        return dict(profile.get("fields") or {})

    def users(self) -> list[dict[str, Any]]:
        """Everybody in the workspace, page by page. https://docs.slack.dev/reference/methods/users.list"""
        everyone: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = self._call("users.list", limit=200, cursor=cursor)
            everyone += answer["members"]
            cursor = answer.get("response_metadata", {}).get("next_cursor", "")
            if not cursor:
                return everyone

    def who_am_i(self) -> dict[str, Any]:
        """https://docs.slack.dev/reference/methods/auth.test"""
        return self._call("auth.test")

    def introduce(self) -> tuple[dict[str, Any], dict[str, str]]:
        """``auth.test`` with the headers of its answer, in lower case: the scopes that were granted, Slack's time."""
        answer = self._send("auth.test")
        headers = {name.lower(): str(value) for name, value in answer.headers.items()}
        return (answer.data if isinstance(answer.data, dict) else {}), headers

    def user_groups(self) -> list[dict[str, Any]]:
        """https://docs.slack.dev/reference/methods/usergroups.list"""
        return list(self._call("usergroups.list").get("usergroups", []))

    def user_group(self, group: str) -> list[str]:
        """Who is in a user group, disabled ones too. https://docs.slack.dev/reference/methods/usergroups.users.list"""
        return list(self._call("usergroups.users.list", usergroup=group, include_disabled=False).get("users", []))

    def file(self, file: str) -> dict[str, Any]:
        """What Slack knows of a file. https://docs.slack.dev/reference/methods/files.info"""
        return dict(self._call("files.info", file=file)["file"])

    def new_file(self, name: str, length: int) -> tuple[str, str]:
        """A place to put a file: its id and the address that takes its bytes.

        https://docs.slack.dev/reference/methods/files.getUploadURLExternal
        """
        answer = self._call("files.getUploadURLExternal", filename=name, length=length)
        return str(answer["file_id"]), str(answer["upload_url"])

    def share_file(self, file: str, title: str, channel: str, thread: str = "") -> None:
        """Show a file whose bytes are there. https://docs.slack.dev/reference/methods/files.completeUploadExternal"""
        self._call(
            "files.completeUploadExternal",
            files=json.dumps([{"id": file, "title": title}]),
            channel_id=channel,
            **({"thread_ts": thread} if thread else {}),
        )

    def open_socket(self) -> str:
        """An address to connect to once; the token must be an app's.

        https://docs.slack.dev/reference/methods/apps.connections.open
        """
        return str(self._call("apps.connections.open")["url"])

    def open_view(self, trigger: str, view: dict[str, object]) -> bool:
        """Open a modal within the trigger's three seconds; false when Slack did not.

        The only call a listener makes: two seconds, no retry. https://docs.slack.dev/reference/methods/views.open
        """
        try:
            with TURN.aside():
                self._call("views.open", self._quick, trigger_id=trigger, view=view)
        except SlackError:
            return False
        return True

    def publish_home(self, user: str, home: dict[str, object]) -> None:
        """Show somebody their Home; safe to repeat. https://docs.slack.dev/reference/methods/views.publish"""
        self._call("views.publish", user_id=user, view=home)

    def update_private(self, external_id: str, view: dict[str, object]) -> None:
        """Redraw a modal by the id we gave it. https://docs.slack.dev/reference/methods/views.update"""
        self._call("views.update", external_id=external_id, view=view)

    def _call(self, method: str, client: WebClient | None = None, /, **arguments: Any) -> dict[str, Any]:
        data = self._send(method, client, **arguments).data
        return data if isinstance(data, dict) else {}

    def _send(self, method: str, client: WebClient | None = None, /, **arguments: Any) -> SlackResponse:
        """One call, and a line that says so, without what was said; of reads that went well only at DEBUG."""
        started, code = time.monotonic(), "no answer"
        try:
            answer = self._answer(method, client, arguments)
            code = "ok"
            return answer
        except SlackError as error:
            code = error.code
            raise
        finally:
            quiet = code == "ok" and not method.startswith(SAYS)
            said = {"method": method, "code": code, "seconds": round(time.monotonic() - started, 3)}
            (log.debug if quiet else log.info)("called Slack", **said)

    def _answer(self, method: str, client: WebClient | None, arguments: dict[str, Any]) -> SlackResponse:
        style: Literal["params", "json"] = "params" if method.startswith(("users.", "conversations.info")) else "json"
        try:
            if method.startswith("files."):  # which take no JSON
                return (client or self._client).api_call(method, params=arguments)
            if style == "params":
                return (client or self._client).api_call(method, params=arguments, http_verb="GET")
            return (client or self._client).api_call(method, json=arguments)
        except SlackApiError as error:
            raise _problem(error) from None
        except (URLError, TimeoutError, ConnectionError, HTTPException, SlackClientError) as error:
            raise SlackError(f"no answer ({type(error).__name__})", retry=True, maybe_done=True) from None


def _problem(error: SlackApiError) -> SlackError:
    response = error.response
    said = str(response.get("error", f"HTTP {response.status_code}")) if isinstance(response.data, dict) else ""
    code = said if CODE.fullmatch(said) else "garbage"  # the library puts a page that is no JSON there, whole
    if response.status_code == 429 or code == "ratelimited":
        wait = str(response.headers.get("Retry-After", ""))
        return SlackError("ratelimited", retry=True, after=float(wait) if WAIT.fullmatch(wait) else 1.0)
    temporary = response.status_code >= 500 or code in {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "garbage",
    }
    # A token that is refused today is mended by an operator tomorrow: what people must hear waits for that.
    mendable = code in {
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "missing_scope",
    }
    return SlackError(code, retry=temporary or mendable, after=30.0 if mendable else None)
