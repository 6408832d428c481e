"""Trouble on the way to the bot: things delivered twice, and Socket Mode's connections cut or given up."""

from bot.sandbox.slack.arguments import Arguments, invalid, read_json
from bot.sandbox.slack.outgoing import Outgoing
from bot.sandbox.slack.people import Json

REASONS = ("warning", "refresh_requested", "link_disabled")  # Slack's words in a farewell


class Doubling:
    """The control verbs ``again`` and ``socket``."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing

    def again(self, args: Arguments, _: str) -> Json:
        """Deliver the last payload once more: as it was, or ``fresh``, with a signature or an envelope of its own."""
        delivery = self.outgoing.again(fresh=args.flag("fresh"))
        return {
            "status": delivery.status, "seconds": round(delivery.seconds, 3), "body": delivery.body,
            "text": delivery.text, "error": delivery.failure,
        }  # fmt: skip

    def socket(self, args: Arguments, _: str) -> Json:
        """``cut``, ``disconnect`` (with a reason), ``say`` (any text), or ``envelope`` (any object, answered)."""
        sockets, verb = self.outgoing.sockets, args.required("do")
        if verb == "cut":
            sockets.cut()
        elif verb == "disconnect":
            reason = args.text("reason", REASONS[0])
            if reason not in REASONS:
                raise invalid(f"Slack gives one of these reasons: {', '.join(REASONS)}")
            sockets.say_goodbye(reason)
        elif verb == "say":
            sockets.say(args.text("text"))
        elif verb == "envelope":
            return {"error": sockets.send(_envelope(args.required("text"))).failure}
        else:
            raise invalid("a socket can be told to cut, disconnect, say or envelope")
        return {}


def _envelope(text: str) -> Json:
    try:
        found = read_json(text)
    except ValueError as unreadable:
        raise invalid(f"an envelope is a JSON object: {unreadable}") from None
    if not isinstance(found, dict):
        raise invalid("an envelope is a JSON object")
    return found
