"""Events the workspace tells the bot about, as the Events API delivers them. https://docs.slack.dev/apis/events-api"""

from bot.sandbox import seed
from bot.sandbox.slack import payloads
from bot.sandbox.slack.arguments import Arguments
from bot.sandbox.slack.gestures import Refused, find_account, find_room
from bot.sandbox.slack.outgoing import Outgoing
from bot.sandbox.slack.people import Json, UserGroup, user_object
from bot.sandbox.slack.state import Workspace

# https://docs.slack.dev/reference/events: the scope without which an app is not told
SCOPES = {
    "app_mention": "app_mentions:read",
    "user_change": "users:read",
    "team_join": "users:read",
    "subteam_members_changed": "usergroups:read",
}


class Events:
    """Makes events and remembers them, so that one can be delivered again."""

    def __init__(self, workspace: Workspace, outgoing: Outgoing) -> None:
        self.workspace, self.outgoing = workspace, outgoing
        self._sent: dict[str, Json] = {}

    def happen(self, args: Arguments) -> Json:
        """Something happens in the workspace: ``type`` says what, the rest to whom and where."""
        kind = args.required("type")
        makers = {
            "app_home_opened": self._home_opened,
            "app_mention": self._mention,
            "user_change": self._user,
            "team_join": self._user,
            "subteam_members_changed": self._members_changed,
        }
        if kind not in makers:
            raise Refused(400, f"no such event here: {kind}; there are {', '.join(makers)}")
        with self.workspace.lock:
            event = makers[kind](args)
        return self.send(event)

    def send(self, event: Json) -> Json:
        """Tell the bot, if it has the scope that such an event needs."""
        with self.workspace.lock:
            needed = SCOPES.get(str(event["type"]))
            if needed and needed not in self.workspace.scopes:
                return {"status": None, "event_id": None, "error": f"the app has no scope {needed}, so is not told"}
            envelope = payloads.event_callback(self.workspace, event)
            self._sent[str(envelope["event_id"])] = envelope
        return self._deliver(envelope)

    def again(self, args: Arguments) -> Json:
        """Deliver an event a second time, as Slack does after about no time, a minute and five minutes."""
        envelope = self._sent.get(args.required("event_id"))
        if envelope is None:
            raise Refused(404, f"no event {args.text('event_id')} was sent")
        return self._deliver(
            envelope,
            {
                "X-Slack-Retry-Num": str(args.number("retry_num", 1)),
                "X-Slack-Retry-Reason": args.text("retry_reason", "http_timeout"),
            },
        )

    def _deliver(self, envelope: Json, retry: dict[str, str] | None = None) -> Json:
        delivery = self.outgoing.send_event(envelope, retry)
        return {
            "status": delivery.status, "seconds": round(delivery.seconds, 3), "body": delivery.body,
            "error": delivery.failure, "event_id": envelope["event_id"],
        }  # fmt: skip

    def _home_opened(self, args: Arguments) -> Json:
        account = find_account(self.workspace, args.required("user"))
        event: Json = {
            "type": "app_home_opened", "user": account.id, "channel": self.workspace.dm(account.id).id,
            "tab": args.text("tab", "home"), "event_ts": f"{self.workspace.now():.6f}",
        }  # fmt: skip
        home = self.workspace.views.get(self.workspace.homes.get(account.id, ""))
        return event | ({"view": payloads.view_object(home, {})} if home and event["tab"] == "home" else {})

    def _mention(self, args: Arguments) -> Json:
        account = find_account(self.workspace, args.required("user"))
        room = find_room(self.workspace, args.required("channel"))
        if account.id not in room.members or seed.SLACK_BOT_USER not in room.members:
            raise Refused(403, f"{account.handle} and the bot are not both in {room.name}")
        text = f"<@{seed.SLACK_BOT_USER}> {args.text('text')}"
        post = self.workspace.add_post(room, {"text": text}, thread=args.text("thread_ts") or None, author=account.id)
        event: Json = {
            "type": "app_mention", "user": account.id, "text": text, "ts": post.ts, "team": account.team_id,
            "channel": room.id, "event_ts": post.ts,
        }  # fmt: skip
        return event | ({"thread_ts": post.thread} if post.thread else {})

    def _user(self, args: Arguments) -> Json:
        account = find_account(self.workspace, args.required("user"))
        email = "users:read.email" in self.workspace.scopes
        user = user_object(account, with_email=email)
        del user["profile"]["status_emoji_display_info"]  # users.info has it, the samples of events do not
        event: Json = {"type": args.text("type"), "user": user}
        return event | ({"cache_ts": int(self.workspace.now())} if event["type"] == "user_change" else {})

    def _members_changed(self, args: Arguments) -> Json:
        group = find_group(self.workspace, args.required("group"))
        added, removed = (self._ids(args, name) for name in ("added", "removed"))
        group.members = [user for user in group.members if user not in removed]
        group.members += [user for user in added if user not in group.members]
        before, group.updated = group.updated, int(self.workspace.now())
        return {
            "type": "subteam_members_changed", "subteam_id": group.id, "team_id": seed.SLACK_TEAM,
            "date_previous_update": before, "date_update": group.updated,
            "added_users": added, "added_users_count": len(added),
            "removed_users": removed, "removed_users_count": len(removed),
            "event_ts": f"{self.workspace.now():.6f}",
        }  # fmt: skip

    def _ids(self, args: Arguments, name: str) -> list[str]:
        people = args.given.get(name, [])
        if not isinstance(people, list):
            raise Refused(400, f"{name} must be a list of people")
        return [find_account(self.workspace, str(person)).id for person in people]


def find_group(workspace: Workspace, name: str) -> UserGroup:
    for group in workspace.groups.values():
        if name.removeprefix("@") in (group.id, group.handle):
            return group
    raise Refused(404, f"there is no user group {name}")
