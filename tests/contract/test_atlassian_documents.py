"""Every request our clients send and every answer the sandbox gives, held against Atlassian's own OpenAPI documents.

Each call is made as it should be, once more, with a wrong key, and with each of its ids unknown.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.atlassian_calls import CALLS, Call, unknown
from tests.support.openapi import DOCUMENTS, Documents
from tests.support.recording import Exchange, Organization, organization

if not DOCUMENTS.is_dir() and os.environ.get("CI") == "true":
    pytest.fail(f"Atlassian's documents are not at {DOCUMENTS}; set GATEHOUSE_SHARED", pytrace=False)
pytestmark = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason=f"Atlassian's OpenAPI documents are not at {DOCUMENTS}")

# Where the documents are wrong or behind what Atlassian does, and where the sandbox follows what was seen instead.
KNOWN = {
    r"/admin/user-provisioning/.*: no document": "the SCIM admin calls of 2024 are in none of the documents",
    r"/directories/\{directoryId\}/users/\{userId\}, request: (parameter accountId is missing|path parameter userId)":
    "the document's path says userId, its parameter accountId",
    r"account_id .*does not match .*\\n'$": "the document's pattern ends in a line end, which no id can have",
    r"^PATCH /scim/.*, request: body Operations is not named": "the schema says operations, Atlassian's example and "
    "the RFC Operations",
    r"resourceType '(User|Group)' is not one of \['USER'": "real answers have User and Group",
    r"/ServiceProviderConfig, 200: body \(the whole\)": "the document types the answer as a text",
    r"^\w+ /users/.*, 4\d\d: body error(Key|Detail) is not named": "real answers have two fields more",
    r"^\w+ /users/.*, 401: body (code|message|\(the whole\) 'key')": "the gateway refuses a wrong key before the API "
    "sees it, in its own shape",
    r"^\w+ /v2/.*, 401: body (code|message) is not named": "the same, as the v1 operations document it",
    r"^POST /v1/orgs/\{orgId\}/users/\{userId\}/.*, request: path parameter userId .* is not a 'uuid'": "the document "
    "types the account as a uuid, which no account id is",
    r"/events.*, 200: body data/.*attributes/actor/links/alt is not named": "captured events have it",
    r"^PATCH /users/\{account_id\}/manage/profile, request: body .* is a required property": "the schema is that of a "
    "whole account, the words beside it say a subset",
}  # fmt: skip


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents()


@pytest.fixture(scope="module")
def exchanges() -> dict[str, list[Exchange]]:
    with organization() as there:
        return {call.name: list(every_way(there, call)) for call in CALLS}


def every_way(there: Organization, call: Call) -> Iterator[Exchange]:
    there.prepare(call)
    yield from there.tried(call)
    yield from there.tried(call)
    yield from there.tried(call, key="wrong")
    for name, several in call.ids().items():
        yield from there.tried(call, **{name: [unknown(name)] if several else unknown(name)})


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_requests_and_answers_are_as_documented(
    call: Call, exchanges: dict[str, list[Exchange]], documents: Documents
) -> None:
    found = {finding for exchange in exchanges[call.name] for finding in documents.findings(exchange)}
    assert sorted(each for each in found if not any(re.search(known, each) for known in KNOWN)) == []
    assert exchanges[call.name][0].status < 300, exchanges[call.name][0]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: KNOWN[known][:60])
def test_what_is_known_to_differ_still_does(
    known: str, exchanges: dict[str, list[Exchange]], documents: Documents
) -> None:
    found = (each for many in exchanges.values() for one in many for each in documents.findings(one))
    assert any(re.search(known, each) for each in found), "it does not differ any more: take it off the list"


def test_the_judge_sees_what_is_wrong(exchanges: dict[str, list[Exchange]], documents: Documents) -> None:
    """A request or an answer spoiled in one place is found; else the tests above would prove nothing."""
    good = exchanges["OrganizationClient.users_by_email"][0]
    spoiled = {
        "no document describes it": replace(good, target=good.target.replace("search", "find")),
        "the status is not declared": replace(good, status=418),
        "query parameter page is not declared": replace(good, target=f"{good.target}?page=2"),
        "body emial is not named": replace(good, sent=good.sent.replace(b'"emails"', b'"emial"')),
        "body limit 'many' is not of type": replace(good, sent=good.sent.replace(b"100", b'"many"')),
        "body data/[]/accountID is not named": replace(good, body=good.body.replace(b'"accountId"', b'"accountID"')),
        "body data/[]/accountStatus 'gone' is not one of": replace(
            good, body=good.body.replace(b'"active"', b'"gone"')
        ),
        "a body of text/html is not declared": replace(good, headers={"content-type": "text/html"}),
        "a body of text/plain is not declared": replace(good, asked_type="text/plain"),
    }
    for wanted, exchange in spoiled.items():
        found = documents.findings(exchange)
        assert any(wanted in each for each in found), f"{wanted}: {found}"
