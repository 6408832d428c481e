"""Addresses that somebody gave to be called: what settings take is called as it was written, and nothing else is."""

import string

import pytest

from bot.addresses import hook_of
from bot.http import HttpClient
from tests.bot.test_http import Recorder
from tests.bot.test_settings import GOOD, load, problems

TEAMS = "https://harbour.webhook.office.example/webhookb2/5f0-a@0c1-b/IncomingWebhook/9e2/7c3=;(x)"
CALLED = {
    TEAMS: "/webhookb2/5f0-a@0c1-b/IncomingWebhook/9e2/7c3=;(x)",
    "https://x.example": "/",
    "https://x.example:8443/in?token": "/in?token",
    "https://x.example?a=1": "/?a=1",
    "https://x.example/in?a=1&a=2&b=": "/in?a=1&a=2&b=",
    "https://x.example/in?sig=a%2Bb+c/d?e&sp=%2Ftriggers": "/in?sig=a%2Bb+c/d?e&sp=%2Ftriggers",
    "https://x.example/a%20b/~c/$d,e!&f*": "/a%20b/~c/$d,e!&f*",
    "https://x.example//two": "//two",
    "http://127.0.0.1:9000/in": "/in",
    "http://[::1]:9000/in": "/in",
}
NOT_CALLED = (
    "https://x.example/a b", "https://x.example/é", "https://x.example/%zz", "https://x.example/a?b=%", "x.example/in",
    "https://x.example/../in", "https://x.example/./in", "https://x.example/in?a={b}", "https://a_b.example/in",
    "https://x.example/in#there", "https://u@x.example/in", "https://x.example/a?b='c'", "https://x.example:99999/in",
)  # fmt: skip


@pytest.mark.parametrize("name", ["CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"])
@pytest.mark.parametrize(("address", "target"), CALLED.items(), ids=list(CALLED))
def test_what_settings_take_is_called_as_it_was_written(name: str, address: str, target: str) -> None:
    settings = load({**GOOD, name: address})
    recorder, hook = Recorder({}), hook_of(getattr(settings, name.lower()).get_secret_value())
    HttpClient(hook.base, transport=recorder.transport).call("POST", hook.target, content=b"{}")
    assert recorder.last.url.raw_path.decode() == target


@pytest.mark.parametrize("name", ["CHECKPOINT_WEBHOOK_URL", "HEARTBEAT_URL"])
@pytest.mark.parametrize("address", NOT_CALLED)
def test_what_could_not_be_called_is_refused_when_settings_are_read(name: str, address: str) -> None:
    (sentence,) = problems({**GOOD, name: address})
    assert sentence.startswith(f"{name} can't be used as it is")


@pytest.mark.parametrize("sign", [sign for sign in string.printable if not sign.isspace()])
@pytest.mark.parametrize("where", ["/in/x{}y", "/in?x{}y=1"])
def test_no_sign_is_taken_and_then_not_called(where: str, sign: str) -> None:
    address = f"https://x.example{where.format(sign)}"
    try:
        hook = hook_of(address)
    except ValueError:
        return
    recorder = Recorder({})
    HttpClient(hook.base, transport=recorder.transport).call("POST", hook.target)
    assert recorder.last.url.raw_path.decode() == address.removeprefix("https://x.example")
