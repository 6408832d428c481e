"""Files of the Slack stand-in: handed in, fetched, put up and shared, with what Slack refuses."""

from collections.abc import Iterator

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import seed
from bot.sandbox.slack import server as slack
from bot.sandbox.slack.control import SlackControl

TOKEN = {"Authorization": f"Bearer {seed.SLACK_BOT_TOKEN}"}


@pytest.fixture
def people() -> Iterator[SlackControl]:
    with slack.running(rate_limits=False) as url:
        control = SlackControl(url)
        yield control
        control.close()


@pytest.fixture
def web(people: SlackControl) -> WebClient:
    return WebClient(token=seed.SLACK_BOT_TOKEN, base_url=f"{people.base_url}/api/", retry_handlers=[])


def refusal(people: SlackControl, method: str, **given: object) -> str:
    answer = httpx.post(f"{people.base_url}/api/{method}", data=given, headers=TOKEN, trust_env=False)
    return str(answer.json().get("error"))


def test_a_file_that_somebody_chose_can_be_read_with_the_token_only(people: SlackControl, web: WebClient) -> None:
    id = people.attach("ada", "my list.csv", "person,action\n")
    file = web.files_info(file=id)["file"]
    assert (file["name"], file["size"], file["filetype"], file["mode"]) == ("my list.csv", 14, "csv", "hosted")
    url = file["url_private_download"]
    assert httpx.get(url, headers=TOKEN, trust_env=False).content == b"person,action\n"
    for headers in ({}, {"Authorization": "Bearer xoxb-another"}):
        page = httpx.get(url, headers=headers, trust_env=False)
        assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
    people.scopes(remove=["files:read"])
    assert httpx.get(url, headers=TOKEN, trust_env=False).text.startswith("<!DOCTYPE html>")
    assert refusal(people, "files.info", file=id) == "missing_scope"


def test_a_file_is_put_up_in_three_steps_and_shared_in_a_thread(people: SlackControl, web: WebClient) -> None:
    root = web.chat_postMessage(channel="C0ACCESS01", text="a card")
    place = web.files_getUploadURLExternal(filename="results.csv", length=3)
    assert (
        refusal(people, "files.completeUploadExternal", files=f'[{{"id": "{place["file_id"]}"}}]') == "file_not_found"
    )
    assert httpx.post(place["upload_url"], content=b"too long", trust_env=False).status_code == 400
    assert httpx.post(place["upload_url"], content=b"a,b", trust_env=False).status_code == 200
    web.files_completeUploadExternal(
        files=[{"id": place["file_id"], "title": "Results"}], channel_id="C0ACCESS01", thread_ts=root["ts"]
    )
    (message,) = people.channel("#access-requests")
    (reply,) = message["replies"]
    assert reply["files"][0]["title"] == "Results"
    assert people.download(reply["files"][0]) == b"a,b"
    assert list(web.files_info(file=place["file_id"])["file"]["shares"]["public"]) == ["C0ACCESS01"]


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("files.info", {"file": "F0NOTHING"}, "file_not_found"),
        ("files.info", {}, "invalid_arguments"),
        ("files.getUploadURLExternal", {"filename": "x.csv"}, "invalid_arguments"),
        ("files.getUploadURLExternal", {"filename": "x.csv", "length": "0"}, "invalid_arguments"),
        ("files.getUploadURLExternal", {"filename": "a/b", "length": "3"}, "invalid_arguments"),
        ("files.completeUploadExternal", {}, "invalid_arguments"),
        ("files.completeUploadExternal", {"files": "[]"}, "invalid_arguments"),
        ("files.completeUploadExternal", {"files": '[{"id": "F0"}]'}, "file_not_found"),
    ],
)
def test_what_slack_refuses(people: SlackControl, method: str, given: dict[str, str], error: str) -> None:
    assert refusal(people, method, **given) == error


def test_a_file_goes_only_where_the_bot_is(people: SlackControl, web: WebClient) -> None:
    place = web.files_getUploadURLExternal(filename="results.csv", length=3)
    httpx.post(place["upload_url"], content=b"a,b", trust_env=False)
    with pytest.raises(SlackApiError, match="not_in_channel"):
        web.files_completeUploadExternal(files=[{"id": place["file_id"]}], channel_id="C0NOBOT001")


def test_an_upload_has_a_secret_address(people: SlackControl) -> None:
    assert httpx.post(f"{people.base_url}/upload/v1/guessed", content=b"x", trust_env=False).status_code == 404
