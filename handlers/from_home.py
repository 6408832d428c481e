"""What was pressed in App Home: there is no channel to answer in, and the Home is drawn again afterwards.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from typing import Any

from handlers.desk import Desk


def is_home(body: dict[str, Any]) -> bool:
    """Whether the button stands in the person's Home and not on a message."""
    return bool(body.get("container", {}).get("type") == "view" and body.get("view", {}).get("type") == "home")


def redraw(desk: Desk, team: str, user: str) -> None:
    """The Home as it is now; a job draws it, so that no listener waits for Slack."""
    with desk.store.write() as w:
        w.enqueue("home", f"{team}/{user}")


def redraw_after(desk: Desk, body: dict[str, Any]) -> None:
    """What was pressed there has changed what it shows."""
    if is_home(body):
        redraw(desk, body["team"]["id"], body["user"]["id"])
