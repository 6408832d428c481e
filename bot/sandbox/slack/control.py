"""A typed client of the Slack sandbox: act as a person, see what they see, cause trouble."""

import base64
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

from bot.sandbox import seed
from bot.sandbox.connections import KEPT

Json = dict[str, Any]
POLL_SECONDS = 0.05


class NotPossible(Exception):
    """The sandbox would not do it: a person cannot see that message, or there is no such thing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SlackControl:
    """One sandbox, at *base_url*. People are seed handles or Slack ids; channels ``#name``, an id or ``dm:ada``.

    Safe to use from several threads at once.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # the sandbox is on this machine: no proxy from the environment comes between
        self._http = httpx.Client(base_url=self.base_url, timeout=90, trust_env=False, limits=KEPT)

    def close(self) -> None:
        self._http.close()

    # what a person does

    def command(
        self, user: str, text: str = "", *, channel: str = "#access-requests", command: str = "/access",
        thread_ts: str | None = None, force: bool = False,
    ) -> Json:  # fmt: skip
        """Type a slash command. Like all gestures, gives status, seconds, body, text, error and trigger_id."""
        return self._post(
            "command", user=user, channel=channel, command=command, text=text, thread_ts=thread_ts, force=force
        )

    def click(
        self, user: str, action_id: str, *, ts: str | None = None, channel: str | None = None,
        view_id: str | None = None, block_id: str | None = None, value: object = None, values: Json | None = None,
        force: bool = False,
    ) -> Json:  # fmt: skip
        """Press a button, or choose *value* in a select, of a message (ts, channel) or of a modal or Home (view_id).

        *value* also tells apart buttons that share an action_id. With *force*, a click no Slack client would send.
        """
        return self._post(
            "click", user=user, action_id=action_id, ts=ts, channel=channel, view_id=view_id, block_id=block_id,
            value=value, values=values, force=force,
        )  # fmt: skip

    def submit(self, user: str, view_id: str | None, values: Json | None = None, *, force: bool = False) -> Json:
        """Fill in the modal in front of the person and send it; also gives the ``errors`` shown on it."""
        return self._post("submit", user=user, view_id=view_id, values=values, force=force)

    def attach(self, user: str, name: str, content: str | bytes) -> str:
        """Choose a file for a form; gives the id that stands for it in the ``values`` of ``submit``."""
        data = content.encode() if isinstance(content, str) else content
        return str(self._post("attach", user=user, name=name, base64=base64.b64encode(data).decode())["id"])

    def download(self, file: Json) -> bytes:
        """The bytes of a file as somebody who sees it gets them."""
        token = {"Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}
        return self._http.get(file["url_private_download"], headers=token).content

    def close_view(self, user: str, view_id: str | None = None, *, all: bool = False) -> Json:
        return self._post("close_view", user=user, view_id=view_id, all=all)

    def suggest(self, user: str, action_id: str, value: str, **where: Any) -> list[Json]:
        """Type in an external select; gives the options offered. *where* as for ``click``."""
        return list(self.suggestions(user, action_id, value, **where)["options"])

    def suggestions(self, user: str, action_id: str, value: str, **where: Any) -> Json:
        """The same with the whole answer, the groups and their labels in its body."""
        return self._post("suggest", user=user, action_id=action_id, value=value, **where)

    def shortcut(self, user: str, callback_id: str, *, ts: str, channel: str, force: bool = False) -> Json:
        return self._post("shortcut", user=user, callback_id=callback_id, ts=ts, channel=channel, force=force)

    def say(self, user: str, text: str, *, channel: str = "#access-requests", thread_ts: str | None = None) -> Json:
        """Write a plain message; ``@gatehouse`` in it mentions the bot. Gives ts, text and what the bot answered."""
        return self._post("say", user=user, text=text, channel=channel, thread_ts=thread_ts)

    def event(self, type: str, **about: object) -> Json:
        """Something happens: app_home_opened, app_mention, user_change, team_join, subteam_members_changed."""
        return self._post("event", type=type, **about)

    def event_again(self, event_id: str, *, retry_num: int = 1, retry_reason: str = "http_timeout") -> Json:
        return self._post("event", event_id=event_id, retry_num=retry_num, retry_reason=retry_reason)

    def open_home(self, user: str) -> Json:
        return self.event("app_home_opened", user=user)

    # what a person sees

    def seen(self, user: str) -> Json:
        """Their channels, dms, ephemerals, modals, home and notices."""
        return self._get("seen", user=user)

    def channel(self, name: str) -> list[Json]:
        """The messages of a channel, each with its replies."""
        return list(self._get("channel", channel=name)["messages"])

    def dms(self, user: str) -> list[Json]:
        """What the bot wrote to this person, replies in threads included, oldest first."""
        found = [message for message in _with_replies(self.seen(user)["dms"]) if "bot_id" in message]
        return sorted(found, key=_ts)

    def open_view(self, user: str) -> Json | None:
        """The modal in front of the person, with the errors shown on it."""
        modals = self.seen(user)["modals"]
        return modals[-1] if modals else None

    def home(self, user: str) -> Json | None:
        home: Json | None = self.seen(user)["home"]
        return home

    def messages(self, user: str) -> list[Json]:
        """Every message this person can see, and what Slack itself told them, oldest first."""
        seen = self.seen(user)
        rooms = [_with_replies(room["messages"]) for room in seen["channels"]]
        everything = [message for room in rooms for message in room]
        everything += [*_with_replies(seen["dms"]), *seen["ephemerals"], *seen["notices"]]
        return sorted(everything, key=_ts)

    def find(self, user: str, text: str) -> Json | None:
        """The first message the person can see with this text in its blocks or fallback; has ts, channel, thread."""
        found = (message for message in self.messages(user) if text in text_of(message) or text in message["text"])
        return next(found, None)

    def wait_for(
        self, wanted: Callable[[], Json | None] | tuple[str, str] | str, text: str | None = None, *, timeout: float = 60
    ) -> Json:
        """Poll until a person sees a text, ``wait_for("ada", "granted")``, or until a function gives something."""
        user, said = wanted if isinstance(wanted, tuple) else (wanted, text)
        deadline = time.monotonic() + timeout
        while True:
            found = user() if callable(user) else self.find(user, said or "")
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(self._nothing(user, said, timeout))
            time.sleep(POLL_SECONDS)

    def _nothing(self, user: Callable[[], Json | None] | str, said: str | None, timeout: float) -> str:
        if callable(user):
            return f"nothing came in {timeout} seconds"
        sees = "\n".join(f"- {text_of(message)!r}" for message in self.messages(user))
        return f"{user} did not see {said!r} in {timeout} seconds, but:\n{sees or '- nothing'}"

    # what the bot did

    def calls(self, method: str | None = None, *, after: int = 0) -> list[Json]:
        """Web API calls since number *after*: number, method, args, answer, status, lost, time."""
        return [call for call in self._get("calls", after=after)["calls"] if method in (None, call["method"])]

    def last_request(self) -> Json | None:
        """The last signed request to the bot: url, headers, body."""
        request: Json | None = self._get("last_request")["request"]
        return request

    # the way to the bot

    def again(self, *, fresh: bool = False) -> Json:
        """The last payload is delivered twice: as it was, or with a signature or an envelope of its own."""
        return self._post("again", fresh=fresh)

    def socket(self) -> Json:
        """Socket Mode: connections now, opened so far, every acknowledgement."""
        return self._get("socket")

    def cut_socket(self) -> None:
        self._post("socket", do="cut")

    def refresh_socket(self, reason: str = "warning") -> None:
        """Slack announces that it will close the connections."""
        self._post("socket", do="disconnect", reason=reason)

    def say_by_socket(self, text: str) -> None:
        self._post("socket", do="say", text=text)

    def send_envelope(self, text: str) -> Json:
        """Any envelope, by one connection; ``error`` is None when it was acknowledged."""
        return self._post("socket", do="envelope", text=text)

    # the workspace

    def connect(self, events_url: str | None) -> None:
        self._post("connect", events_url=events_url)

    def show_atlassian(self, url: str | None) -> None:
        """Where the Atlassian sandbox is whose calls the page shows; None hides them."""
        self._post("connect", atlassian_url=url or "")

    def fault(
        self, method: str, *, error: str | None = None, status: int | None = None,
        headers: dict[str, str] | None = None, delay: float = 0, lost: bool = False, times: int = 1, naming: str = "",
    ) -> None:  # fmt: skip
        """The next *times* calls of a method (``*`` any, ``response_url`` those) go wrong; -1 until cleared.

        *naming*: only those in whose arguments this stands, the id of a channel or of a user.
        """
        self._post(
            "faults", method=method, error=error, status=status, headers=headers, delay=delay, lost=lost, times=times,
            naming=naming,
        )  # fmt: skip

    def clear_faults(self) -> None:
        self._read(self._http.delete("/control/faults"))

    def change_user(self, user: str, *, create: bool = False, **changes: object) -> Json:
        """kind (member, guest, single_channel_guest, deleted, bot, stranger), email, title, manager, team_id…"""
        return self._post("users", user=user, create=create, changes=changes)

    def change_channel(self, channel: str, **changes: object) -> Json:
        """bot, archived, shared, private (yes or no); add, remove (lists of people)."""
        return self._post("channels", id=channel, changes=changes)

    def set_group(self, group: str, members: list[str]) -> Json:
        return self._post("usergroups", group=group, members=members)

    def scopes(
        self, scopes: list[str] | None = None, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[str]:
        return list(self._post("scopes", scopes=scopes, add=list(add), remove=list(remove))["scopes"])

    def settings(self, **settings: bool) -> Json:
        """should_escape, escape_typed, rate_limits."""
        return self._post("settings", **settings)

    def set_clock(self, offset_seconds: int) -> None:
        self._post("clock", offset_seconds=offset_seconds)

    def expire(self) -> None:
        """Make every trigger_id and response_url handed out so far too old."""
        self._post("expire")

    def reset(self) -> None:
        self._post("reset")

    def _post(self, verb: str, **body: object) -> Json:
        given = {name: value for name, value in body.items() if value is not None}
        return self._read(self._http.post(f"/control/{verb}", json=given))

    def _get(self, verb: str, **query: str | int) -> Json:
        return self._read(self._http.get(f"/control/{verb}", params=query))

    def _read(self, answer: httpx.Response) -> Json:
        body: Json = answer.json()
        if answer.is_error:
            raise NotPossible(answer.status_code, str(body.get("error")))
        return body


def text_of(message: Json) -> str:
    """What a person reads in a message or view: the text of its blocks, or its plain text when it has none."""
    lines = [*_texts(message.get("title")), *_texts(message.get("blocks"))]
    return "\n".join(lines) if lines else str(message.get("text", ""))


def _texts(node: Any) -> Iterator[str]:
    """Every visible text below this point, in reading order: each run of rich text is one line."""
    if isinstance(node, list):
        for inner in node:
            yield from _texts(inner)
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            yield "".join(_run(part) for part in node.get("elements", []))
        elif kind in ("plain_text", "mrkdwn", "raw_text", "markdown"):
            yield str(node.get("text", ""))
        else:
            yield from _inner_texts(node)


def _inner_texts(node: Json) -> Iterator[str]:
    shown = (
        "title", "text", "label", "fields", "elements", "element", "accessory", "hint", "placeholder", "options",
        "initial_option", "description", "rows",
    )  # fmt: skip
    for name in shown:
        yield from _texts(node.get(name))
    if node.get("type") == "image" and node.get("alt_text"):
        yield str(node["alt_text"])


def _run(part: Json) -> str:
    kind = part.get("type")
    if kind == "user":
        return f"<@{part.get('user_id')}>"
    if kind == "channel":
        return f"<#{part.get('channel_id')}>"
    if kind == "emoji":
        return f":{part.get('name')}:"
    return str(part.get("text") or part.get("url") or "")


def _with_replies(messages: list[Json]) -> list[Json]:
    return [each for message in messages for each in (message, *message.get("replies", []))]


def _ts(message: Json) -> float:
    return float(message["ts"])
