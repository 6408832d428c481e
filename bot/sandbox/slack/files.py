"""Files of the workspace: handed in by people in a form, or put up by the bot in Slack's three steps."""

import base64
import binascii
import mimetypes
import secrets
from dataclasses import dataclass, field
from urllib.parse import quote

from bot.sandbox import seed
from bot.sandbox.slack.arguments import Arguments, invalid
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import Room, SlackError, Workspace

LONGEST_NAME = 250  # characters
LARGEST = 1024**3  # https://slack.com/help/articles/201330736: a gigabyte


@dataclass
class File:
    """A file as Slack keeps it; ``data`` is None until the bytes have come."""

    id: str
    name: str
    owner: str
    created: int
    size: int
    data: bytes | None = None
    title: str = ""
    ticket: str = ""  # of the address that takes its bytes
    shared: dict[str, list[Json]] = field(default_factory=dict)  # channel -> where

    @property
    def path(self) -> str:
        """https://docs.slack.dev/reference/objects/file-object: url_private_download, on Slack's host for files"""
        return f"/files-pri/{seed.SLACK_TEAM}-{self.id}/download/{self.name}"


def attach(workspace: Workspace, owner: str, name: str, data: bytes) -> File:
    """A person chooses a file in a form: Slack has its bytes before the form is sent."""
    file = _new(workspace, owner, name, len(data))
    file.data = data
    return file


def read_content(args: Arguments) -> bytes:
    """What a test or the page hands in: text, or any bytes as base64."""
    if not args.has("base64"):
        return args.text("content").encode()
    try:
        return base64.b64decode(args.text("base64"), validate=True)
    except binascii.Error:
        raise invalid("base64 is not base64") from None


def shown_file(workspace: Workspace, file: File) -> Json:
    """The file object, as it stands in messages, in a form's state and in files.info."""
    private = {channel: where for channel, where in file.shared.items() if workspace.rooms[channel].private}
    public = {channel: where for channel, where in file.shared.items() if channel not in private}
    kind = file.name.rpartition(".")[2].lower() if "." in file.name else "text"
    address = f"{workspace.base_url}{quote(file.path)}"
    rooms = [workspace.rooms[channel] for channel in file.shared]
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title or file.name,
        "mimetype": mimetypes.guess_type(file.name)[0] or "text/plain",
        "filetype": kind,
        "pretty_type": kind.upper(),
        "user": file.owner,
        "user_team": seed.SLACK_TEAM,
        "editable": False,
        "size": file.size,
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": bool(public),
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": address.replace("/download/", "/"),
        "url_private_download": address,
        "permalink": f"https://{seed.SLACK_TEAM_DOMAIN}.slack.com/files/{file.owner}/{file.id}/{file.name}",
        "channels": [room.id for room in rooms if not room.private],
        "groups": [room.id for room in rooms if room.private and not room.dm_with],
        "ims": [room.id for room in rooms if room.dm_with],
        "shares": {kind: where for kind, where in (("public", public), ("private", private)) if where},
        "has_rich_preview": False,
        "file_access": "visible",
    }


# -- the methods ------------------------------------------------------------------------------------------------------


def files_info(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/files.info"""
    return {"file": shown_file(workspace, _file(workspace, args.required("file")))}


def get_upload_url(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/files.getUploadURLExternal"""
    name, length = args.required("filename"), args.number("length", 0)
    if length < 1 or length > LARGEST:
        raise invalid("must be a number of bytes: length")
    file = _new(workspace, seed.SLACK_BOT_USER, name, length)
    file.ticket = secrets.token_urlsafe(24)
    return {"upload_url": f"{workspace.base_url}/upload/v1/{file.ticket}", "file_id": file.id}


def complete_upload(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/files.completeUploadExternal"""
    wanted = args.structure("files", "invalid_arguments")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(one, dict) for one in wanted):
        raise invalid("missing required field: files")
    found = [_file(workspace, str(one.get("id", ""))) for one in wanted]
    if any(file.data is None for file in found):
        raise SlackError("file_not_found")
    room = workspace.room(args.text("channel_id")) if args.text("channel_id") else None
    if args.text("channel_id") and (room is None or seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found" if room is None or room.private else "not_in_channel")
    for one, file in zip(wanted, found, strict=True):
        file.title = str(one.get("title") or file.name)
    if room is not None:
        _share(workspace, found, room, args.text("thread_ts"), args.text("initial_comment"))
    return {"files": [shown_file(workspace, file) for file in found]}


def take_bytes(workspace: Workspace, ticket: str, data: bytes) -> tuple[int, str]:
    """What is sent to the address that ``get_upload_url`` gave: status and answer."""
    with workspace.lock:
        file = next((one for one in workspace.files.values() if one.ticket and one.ticket == ticket), None)
        if file is None:
            return 404, "no such upload"
        if len(data) != file.size:
            return 400, f"{file.size} bytes were announced"
        file.data = data
        return 200, f"OK - {len(data)}"


def give_bytes(workspace: Workspace, path: str, token: str) -> bytes | None:
    """The bytes behind ``url_private_download``; None is Slack's page for signing in, with status 200."""
    with workspace.lock:
        file = next((one for one in workspace.files.values() if one.path == path), None)
        allowed = token == seed.SLACK_BOT_TOKEN and "files:read" in workspace.scopes
        return file.data if file is not None and allowed else None


def _share(workspace: Workspace, files: list[File], room: Room, thread: str, comment: str) -> None:
    for file in files:
        file.shared.setdefault(room.id, [])
    body = {"text": comment, "files": [shown_file(workspace, file) for file in files], "upload": True}
    post = workspace.add_post(room, body, thread=thread or None)
    where = {"ts": post.ts, "channel_name": room.name, "team_id": seed.SLACK_TEAM, "share_user_id": seed.SLACK_BOT_USER}
    for file in files:
        file.shared[room.id].append(where | ({"thread_ts": thread} if thread else {}))
    post.body["files"] = [shown_file(workspace, file) for file in files]


def _file(workspace: Workspace, id: str) -> File:
    found = workspace.files.get(id)
    if not isinstance(found, File):
        raise SlackError("file_not_found")
    return found


def _new(workspace: Workspace, owner: str, name: str, size: int) -> File:
    if not name or len(name) > LONGEST_NAME or "/" in name:
        raise invalid("must be a file's name: filename")
    file = File(f"F{secrets.token_hex(5).upper()}", name, owner, int(workspace.now()), size)
    workspace.files[file.id] = file
    return file
