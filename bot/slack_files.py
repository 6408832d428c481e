"""Files in Slack: those people hand in, and those the bot puts into a thread. Bytes go to and from one host only."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from bot.http import HttpClient, HttpFailure, UnsafeAddress
from bot.slack_out import SlackError, SlackOut

FILES = "https://files.slack.com"
LARGEST = 5 * 1024 * 1024  # bytes


@dataclass
class SlackFiles:
    """Reads and writes files with the bot's token, which no other host ever sees."""

    slack: SlackOut
    token: str
    api_url: str

    def read(self, file: str) -> bytes:
        """The bytes of a file that somebody handed in. https://docs.slack.dev/messaging/working-with-files"""
        about = self.slack.file(file)
        if int(about.get("size") or 0) > LARGEST:
            raise SlackError("file_too_large", retry=False)
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._call("GET", str(about.get("url_private_download") or ""), None, headers)

    def put_up(self, name: str, data: bytes) -> str:
        """Bring a file to Slack; nobody sees it before it is shared. Its id."""
        file, address = self.slack.new_file(name, len(data))
        self._call("POST", address, data, {"Content-Type": "application/octet-stream"})
        return file

    def share(self, file: str, title: str, channel: str, thread: str = "") -> None:
        self.slack.share_file(file, title, channel, thread)

    def is_shared(self, file: str, channel: str) -> bool:
        """Whether it is to be seen there already: after a crash nobody has written that down."""
        shares = self.slack.file(file).get("shares") or {}
        return any(channel in where for where in shares.values())

    def _call(self, method: str, address: str, data: bytes | None, headers: dict[str, str]) -> bytes:
        parts = urlsplit(address)
        if f"{parts.scheme}://{parts.netloc}" != self.host:
            raise SlackError("foreign_file_address", retry=False)
        try:
            query = dict(parse_qsl(parts.query))
            with HttpClient(self.host, max_bytes=LARGEST) as http:
                answer = http.request(method, parts.path, params=query, content=data, headers=headers)
        except UnsafeAddress:
            raise SlackError("file_address_is_strange", retry=False) from None
        except HttpFailure as failure:
            raise SlackError(f"no answer ({type(failure).__name__})", retry=True, maybe_done=data is not None) from None
        if answer.status >= 400:
            raise SlackError(f"HTTP {answer.status}", retry=answer.status >= 500 or answer.status == 429)
        if method == "GET" and answer.body[:15].lower() == b"<!doctype html>":  # Slack's page for who may not read it
            raise SlackError("file_not_readable", retry=False)
        return answer.body

    @property
    def host(self) -> str:
        """Slack's host for files; where the API is a stand-in on this machine, the stand-in."""
        api = urlsplit(self.api_url)
        name = api.hostname or ""
        return FILES if name == "slack.com" or name.endswith(".slack.com") else f"{api.scheme}://{api.netloc}"
