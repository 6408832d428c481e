"""Web API methods that write messages. https://docs.slack.dev/reference/methods/chat.postMessage and its siblings"""

import time

from bot.sandbox import seed
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.limits import TEXT_KEPT, problems_of_message
from bot.sandbox.slack.people import Json
from bot.sandbox.slack.state import (
    RESPONSE_URL_SECONDS,
    RESPONSE_URL_USES,
    Post,
    Room,
    SlackError,
    Workspace,
    shown_blocks,
)


def post_message(workspace: Workspace, args: Arguments) -> Json:
    room = _writable_room(workspace, args)
    content, warning = _content(args, truncate=True)
    content |= _metadata(args)
    thread = _thread(workspace, room, args)
    post = workspace.add_post(room, {name: part for name, part in content.items() if part != {}}, thread=thread)
    answer: Json = {"channel": room.id, "ts": post.ts, "message": message_object(post)}
    return answer | ({"response_metadata": {"warnings": [warning]}, "warning": warning} if warning else {})


def update(workspace: Workspace, args: Arguments) -> Json:
    """Text without blocks removes the blocks; blocks left out together with text are kept, and so is metadata.

    https://docs.slack.dev/reference/methods/chat.update
    """
    room = workspace.rooms.get(args.required("channel"))
    if room is None or (room.private and seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found")
    post = workspace.post(room.id, args.required("ts"))
    if post is None:  # an ephemeral message cannot be found this way either
        raise SlackError("message_not_found")
    if post.body["user"] != seed.SLACK_BOT_USER:
        raise SlackError("cant_update_message")
    if room.archived:
        raise SlackError("is_inactive")
    rewrite(post, args)
    if "blocks" not in post.body:  # with blocks, Slack shows no "edited" mark
        post.body["edited"] = {"user": seed.SLACK_BOT_USER, "ts": f"{int(workspace.now())}.000000"}
    return {"channel": room.id, "ts": post.ts, "text": post.body["text"], "message": message_object(post)}


def rewrite(post: Post, args: Arguments) -> None:
    """Give a message new content by the rules of chat.update."""
    content: Json = {}
    if args.has("text") or args.has("blocks"):
        content, _ = _content(args, truncate=False)
        post.body.pop("blocks", None)
        if not args.has("text"):
            content.pop("text", None)
    elif not args.has("metadata"):
        raise SlackError("no_text")
    post.body.update(content | _metadata(args))
    if post.body.get("metadata") == {}:  # an empty object takes the metadata away
        del post.body["metadata"]


def answer_interaction(workspace: Workspace, path: str, args: Arguments) -> None:
    """What a POST to a response_url does. https://docs.slack.dev/interactivity/handling-user-interaction"""
    with workspace.lock:
        held = workspace.response_urls.get(path)
        if held is None:
            raise SlackError("no_such_url")
        if time.monotonic() - held.born > RESPONSE_URL_SECONDS:
            raise SlackError("expired_url")
        if held.uses >= RESPONSE_URL_USES:
            raise SlackError("used_url")
        held.uses += 1
        original = workspace.post(held.room, held.message, viewer=held.user) if held.message else None
        if original and args.flag("delete_original"):
            workspace.posts.remove(original)
        elif original and args.flag("replace_original"):
            rewrite(original, args)
        else:
            answer_in_channel(workspace, workspace.rooms[held.room], held.user, args)


def answer_in_channel(workspace: Workspace, room: Room, user: str, args: Arguments) -> Post:
    """Show an answer to the person only, or to the channel with ``response_type: in_channel``."""
    content, _ = _content(args, truncate=True)
    only_for = None if args.text("response_type") == "in_channel" else user
    return workspace.add_post(room, content, thread=_thread(workspace, room, args), only_for=only_for)


def post_ephemeral(workspace: Workspace, args: Arguments) -> Json:
    """https://docs.slack.dev/reference/methods/chat.postEphemeral: metadata is ignored"""
    room = _writable_room(workspace, args)
    user = args.required("user")
    if user not in room.members or user not in workspace.accounts:
        raise SlackError("user_not_in_channel")
    content, _ = _content(args, truncate=False)
    post = workspace.add_post(room, content, thread=_thread(workspace, room, args), only_for=user)
    return {"message_ts": post.ts}


def get_permalink(workspace: Workspace, args: Arguments) -> Json:
    room = workspace.rooms.get(args.required("channel"))
    if room is None or (room.private and seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found")
    post = workspace.post(room.id, args.required("message_ts"))
    if post is None:
        raise SlackError("message_not_found")
    return {"channel": room.id, "permalink": permalink(post)}


def permalink(post: Post) -> str:
    link = f"https://{seed.SLACK_TEAM_DOMAIN}.slack.com/archives/{post.room}/p{post.ts.replace('.', '')}"
    if post.thread and post.thread != post.ts:
        link += f"?thread_ts={post.thread}&cid={post.room}"
    return link


def message_object(post: Post) -> Json:
    """The message as the answer of chat.postMessage shows it."""
    return post.body | {
        "bot_profile": {
            "id": seed.SLACK_BOT_ID, "app_id": seed.SLACK_APP_ID, "name": "Gatehouse", "deleted": False,
            "updated": 1_760_000_000, "team_id": seed.SLACK_TEAM,
            "icons": {f"image_{size}": f"https://a.slack-edge.com/bot_{size}.png" for size in (36, 48, 72)},
        }
    }  # fmt: skip


def blocks_of(args: Arguments) -> list[Json] | None:
    """The blocks sent, checked; None when none were, or an empty list."""
    blocks = args.structure("blocks", "invalid_blocks_format")
    if blocks is None or blocks == []:
        return None
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    wrong = problems_of_message(blocks)
    if wrong:
        raise SlackError("invalid_blocks", errors=wrong, response_metadata={"messages": wrong})
    return shown_blocks(blocks)


def _content(args: Arguments, *, truncate: bool) -> tuple[Json, str | None]:
    text, blocks, warning = args.text("text"), blocks_of(args), None
    if not text.strip() and not blocks:
        raise SlackError("no_text")
    if len(text) > TEXT_KEPT:
        if not truncate:
            raise SlackError("msg_too_long")
        text, warning = text[:TEXT_KEPT], "message_truncated"
    return {"text": text} | ({"blocks": blocks} if blocks else {}), warning


def _metadata(args: Arguments) -> Json:
    # https://docs.slack.dev/messaging/message-metadata
    metadata = args.structure("metadata", "invalid_metadata_format")
    if metadata is None or metadata == {}:
        return {} if metadata is None else {"metadata": {}}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict) or set(metadata) - {"event_type", "event_payload"}:
        raise SlackError("invalid_metadata_format")
    return {"metadata": metadata}


def _writable_room(workspace: Workspace, args: Arguments) -> Room:
    name = args.required("channel")
    account = workspace.accounts.get(name)
    if account:  # a user id opens the direct messages: https://docs.slack.dev/reference/methods/chat.postMessage
        if account.deleted or account.kind == "bot":
            raise SlackError("channel_not_found")
        return workspace.dm(account.id)
    room = None if name.startswith("dm:") else workspace.room(name)
    if room is None or (room.private and seed.SLACK_BOT_USER not in room.members):
        raise SlackError("channel_not_found")
    if room.archived:
        raise SlackError("is_archived")
    if seed.SLACK_BOT_USER not in room.members and "chat:write.public" not in workspace.scopes:
        raise SlackError("not_in_channel")
    return room


def _thread(workspace: Workspace, room: Room, args: Arguments) -> str | None:
    if not args.text("thread_ts"):
        return None
    root = workspace.post(room.id, args.text("thread_ts"))
    if root is None:  # nothing there that could have replies
        raise SlackError("cannot_reply_to_message")
    return root.ts
