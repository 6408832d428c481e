"""Bodies that Atlassian really sent, or prints in its documents: the clients read them, the sandbox answers alike."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bot.atlassian.errors import AtlassianError
from bot.sandbox import seed
from bot.sandbox.atlassian.server import running
from tests.support.atlassian_calls import CALLS, GONE, NETWORK
from tests.support.openapi import FIXTURES
from tests.support.recording import Organization, organization
from tests.support.wire import Recorder

if not FIXTURES.is_dir() and os.environ.get("CI") == "true":
    pytest.fail(f"the captured bodies are not at {FIXTURES}; set GATEHOUSE_SHARED", pytrace=False)
pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"Atlassian's captured bodies are not at {FIXTURES}")

NAMED = {call.name: call for call in CALLS}
NO_ACTIVE = "550364dd-1c1e-4953-bffc-418fce013c2e"
MIA, POWER_USERS = "5b10a2844c20165700ede21g", "276f955c-63d7-42c8-9520-92d01dca0625"
# File, the call that gets such an answer, the arguments that make the answer its own.
ANSWERS: list[tuple[str, str, dict[str, Any]]] = [
    ("scim/user_create_201.captured.json", "ScimClient.create", {}),
    ("scim/user_get_200_no_active.captured.json", "ScimClient.get", {"user_id": NO_ACTIVE}),
    ("scim/user_active.captured.json", "ScimClient.activate", {"user_id": "a59238e6-487e-451d-a534-d67aa4c48350"}),
    ("scim/user_deactivated.captured.json", "ScimClient.deactivate",
     {"user_id": "a59238e6-487e-451d-a534-d67aa4c48350"}),
    ("scim/group_patch_add_members.200.official.json", "ScimClient.add_members",
     {"group_id": "50202593-bc47-45df-8fa0-3f63343aa3c1"}),
    ("org/directories_200.official.json", "OrganizationClient.directories", {}),
    ("org/event_jira_issue_viewed.captured-redacted.json", "OrganizationClient.event",
     {"event_id": "606a97f7-f2d9-4007-91a7-8adyc1s328bf"}),
    ("org/event_user_logged_in_as_user.thirdparty.json", "OrganizationClient.event",
     {"event_id": "2508d209-3336-4763-89a0-aceaf1322fcf"}),
    ("jira/user_create_201.official.json", "SiteClient.create_user", {}),
    ("jira/user_get_200.official.json", "SiteClient.user", {"account_id": MIA}),
    ("jira/user_search_200.official.json", "SiteClient.search_users", {}),
    ("jira/user_groups_200_spec_example_is_object_not_array.official.json", "SiteClient.groups_of", {}),
    ("jira/group_bulk_200.official.json", "SiteClient.find_group", {"name": "jdog-developers"}),
    ("jira/group_member_200.official.json", "SiteClient.members", {"group_id": POWER_USERS}),
    ("jira/group_create_201.official.json", "SiteClient.add_member", {"group_id": POWER_USERS}),
]  # fmt: skip
# File and place in it (the whole file, and the status in its name), what the error must be and tell.
ERRORS = [
    ("org/errors.captured.json", "membership_add_user_not_in_directory", "NotFound", "ADMIN-UAM-404-1"),
    ("org/errors.captured.json", "org_routing_flat_404", "NotFound", None),
    ("user-management/lifecycle_delete.captured.json", "already_gone_404", "NotFound", "accountNotFound"),
    ("user-management/lifecycle_delete.captured.json", "generic_404", "NotFound", "notFound"),
    ("user-management/lifecycle_delete.captured.json", "unmanaged_account_403", "Forbidden", "forbidden"),
    ("jira/group_bulk_403.official.json", "", "Forbidden", None),
    ("jira/group_bulk_500.official.json", "", "Unavailable", None),
]
# What is to be gone is gone: told by False and not by an error, even when nothing else can be read.
GONE_IS_GOOD = {"AccountsClient.delete_api_token", "RecordRemover.delete_record_for_good"}
# File, the call that sends such a body.
REQUESTS = [
    ("scim/group_patch_add_members.request.official.json", "", "ScimClient.add_members"),
    ("org/users_search.requests.official.json", "search_by_emails", "OrganizationClient.users_by_email"),
    ("org/groups_search.requests.official.json", "search_with_expand", "OrganizationClient.groups"),
    ("org/workspaces.requests.official.json", "search_workspaces_request", "OrganizationClient.workspaces"),
]
NO_BODY = {
    "user-management/error_examples.official.json": "cut to the key; the captures have the whole bodies",
    "jira/groups_picker_200.official.json": "no client makes this call: it finds parts of names",
    "jira/user_bulk_200.official.json": "no client makes this call: people are read one by one",
}
# Printed or captured without what is around it in the answer.
BARE: dict[str, Callable[[Any], Any]] = {
    "org/event_": lambda event: {"data": event},
    "jira/user_groups_200_spec": lambda group: [group],
}
# What some answers have and others have not, by how the file begins.
LEFT_OUT = {
    # Sizes of pictures, what was expanded, the next page when there is one, what privacy or the move from user names
    # to account ids took away.
    "jira/user": {"16x16", "24x24", "32x32", "48x48", "applicationRoles", "groups", "expand", "key", "emailAddress",
                  "timeZone"},
    "jira/group": {"self", "nextPage", "key", "expand", "users"},
    # Each kind of event has attributes of its own; not every actor has a place, a way of logging in or links.
    "org/event_": {"location", "auth", "links", "type", "id", "issueId", "issueKeyOrId", "product", "siteHostName",
                   "siteName", "accountType"},
}  # fmt: skip
# What an account need not have, or a record made by hand has not.
OPTIONAL = {
    "active", "name", "title", "displayName", "externalId", "nickName", "department", "timezone", "formatted", "prev",
    "next",
}  # fmt: skip


def body(file: str) -> Any:
    return json.loads((FIXTURES / file).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def there() -> Iterator[Organization]:
    with organization() as there:
        yield there


@pytest.mark.parametrize(("file", "name", "args"), ANSWERS, ids=[file for file, *_ in ANSWERS])
def test_what_atlassian_answers_is_read_and_the_sandbox_answers_alike(
    there: Organization, file: str, name: str, args: dict[str, Any]
) -> None:
    call, captured = NAMED[name], body(file)
    for beginning, around in BARE.items():
        captured = around(captured) if file.startswith(beginning) else captured
    recorder = Recorder(captured, end(captured))
    assert call("https://api.atlassian.com", recorder.transport, **args) not in (None, [], False)
    answered = [each for exchange in there.good(call).exchanges if (each := exchange.answered())][-1]
    left_out = {name for beginning, names in LEFT_OUT.items() if file.startswith(beginning) for name in names}
    found = differences(captured, answered)
    assert [each for each in found if each.partition(":")[0].rpartition(".")[2] not in left_out] == []


def end(captured: Any) -> Any:
    """What comes after a page when it was the last one."""
    if isinstance(captured, list):
        return []
    return {"values": [], "isLast": True} if "values" in captured else {"data": []}


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where a field is of another kind, or is on one side only and not one that may be left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        alone = [f"{at}.{name}: on one side only" for name in sorted(set(one) ^ set(other)) if name not in OPTIONAL]
        shared = sorted(set(one) & set(other))
        return alone + [each for name in shared for each in differences(one[name], other[name], f"{at}.{name}")]
    if isinstance(one, list) and isinstance(other, list):
        return differences(one[0], other[0], f"{at}[]") if one and other else []
    return [] if type(one) is type(other) else [f"{at}: {type(one).__name__} and {type(other).__name__}"]


def test_a_record_made_of_the_captured_facts_has_the_captured_fields() -> None:
    captured = body("scim/user_create_201.captured.json")
    with (
        running() as base,
        httpx.Client(transport=NETWORK, headers={"Authorization": f"Bearer {seed.OURS.key}"}) as http,
    ):
        sent = {name: captured[name] for name in ("schemas", "userName", "emails")}
        answer = http.post(f"{base}/scim/directory/{seed.OURS.id}/Users", json=sent)
    assert answer.status_code == 201
    assert set(answer.json()) == set(captured)
    assert answer.json()["schemas"] == captured["schemas"]
    assert differences(answer.json(), captured) == []


@pytest.mark.parametrize(("file", "place", "kind", "code"), ERRORS, ids=[place or file for file, place, *_ in ERRORS])
def test_what_atlassian_refuses_becomes_the_right_error(file: str, place: str, kind: str, code: str | None) -> None:
    captured = body(file)[place] if place else {"http": int(file.split("_")[-1][:3]), "body": body(file)}
    for call in CALLS:
        recorder = Recorder(httpx.Response(captured["http"], json=captured["body"]))
        if kind == "NotFound" and code and call.settled >= set(GONE) and call.name in GONE_IS_GOOD:
            assert call("https://api.atlassian.com", recorder.transport) is False, call.name
            continue
        with pytest.raises(AtlassianError) as raised:
            call("https://api.atlassian.com", recorder.transport)
        assert (type(raised.value).__name__, raised.value.code) == (kind, code), call.name
        assert raised.value.detail or place == "generic_404"


@pytest.mark.parametrize(("file", "place", "name"), REQUESTS, ids=[f"{file} {place}" for file, place, _ in REQUESTS])
def test_what_we_send_looks_like_what_atlassian_prints(there: Organization, file: str, place: str, name: str) -> None:
    printed = body(file)[place] if place else body(file)
    if "and" in printed.get("query", {}):  # we ask for one thing alone, which needs no "and"
        printed["query"] = printed["query"]["and"][0]
    sent = there.good(NAMED[name]).exchanges[0].asked()
    extra = [each for each in differences(sent, printed) if not each.endswith("on one side only")]
    assert extra == []
    assert unnamed(sent, printed) == []


def unnamed(sent: Any, printed: Any, at: str = "") -> list[str]:
    """Fields that we send and the example does not have."""
    if isinstance(sent, list) and isinstance(printed, list) and printed:
        return [found for each in sent for found in unnamed(each, printed[0], f"{at}[]")]
    if not isinstance(sent, dict) or not isinstance(printed, dict):
        return []
    missing = [f"{at}.{name}" for name in sent if name not in printed]
    return missing + [found for name in set(sent) & set(printed) for found in unnamed(sent[name], printed[name], name)]


def test_every_captured_body_is_used() -> None:
    there = {str(path.relative_to(FIXTURES)) for path in FIXTURES.rglob("*.json")}
    there = {file for file in there if file.startswith(("scim/", "org/", "user-management/", "jira/"))}
    used = {file for file, *_ in [*ANSWERS, *ERRORS, *REQUESTS]} | set(NO_BODY)
    assert sorted(there - used) == []
    assert sorted(set(NO_BODY) - there) == []
