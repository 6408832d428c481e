"""What became of something that was sent to the bot, by either door."""

from dataclasses import dataclass

from bot.sandbox.slack.arguments import read_json

ACK_SECONDS = 3.0  # https://docs.slack.dev/interactivity/handling-user-interaction


@dataclass(frozen=True)
class Delivery:
    """What became of one request: the bot's answer, or the failure Slack shows the person."""

    status: int | None
    seconds: float
    text: str = ""
    failure: str | None = None  # operation_timeout | dispatch_failed

    @property
    def body(self) -> object:
        try:
            return read_json(self.text)
        except ValueError:
            return None
