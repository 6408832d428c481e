"""The Jira site client knows the old API's habits, and takes nothing from its English."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.atlassian.errors import (
    AtlassianError,
    BadRequest,
    Conflict,
    Forbidden,
    KeyRefused,
    NotFound,
    RateLimited,
    Unavailable,
    Unreadable,
)
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import site_transport
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.hostile_ids import HOSTILE_IDS
from tests.support.wire import Recorder

MIA = "5b10a2844c20165700ede21g"
GROUP = "276f955c-63d7-42c8-9520-92d01dca0625"
USER = {"accountId": MIA, "accountType": "atlassian", "active": True, "displayName": "Mia", "emailAddress": None}
TEAM = {"groupId": GROUP, "name": "power-users"}
ADA, MEI, NADIA = (seed.company().person(handle) for handle in ("ada", "mei", "nadia"))
RELEASE, EU_ADMINS = seed.company().group("release-managers"), seed.company().group("eu-jira-admins")
MEMBERSHIP = "/rest/api/3/group/user?groupId=" + GROUP
READ = f"GET /rest/api/3/user/groups?accountId={MIA}"
Real = tuple[SiteClient, AtlassianControl]


def build(*answers: Any) -> tuple[SiteClient, Recorder]:
    recorder = Recorder(*answers)
    transport = site_transport("https://acme.atlassian.net", "a@b.c", SecretStr("token"), http=recorder.transport)
    return SiteClient(transport), recorder


def page(*values: Any, **more: Any) -> dict[str, Any]:
    return {"values": list(values), **more}


def refused(status: int, text: str = "") -> httpx.Response:
    return httpx.Response(status, json={"errorMessages": [text] if text else [], "errors": {}})


@pytest.fixture(scope="module")
def wire() -> Iterator[Real]:
    with running() as base, AtlassianControl(base) as control:
        site = SiteClient(site_transport(base, seed.SITE_EMAIL, SecretStr(seed.SITE_API_TOKEN)))
        yield site, control
        site.close()


@pytest.fixture
def real(wire: Real) -> Real:
    """The client and the sandbox on a real socket, as on the first morning."""
    wire[1].reset()
    wire[1].clear_ledger()
    return wire


# People


def test_a_created_user_may_have_been_there_before() -> None:
    site, recorder = build(httpx.Response(201, json=USER))
    given = site.create_user("mia@example.com", ["jira-software", "jira-software"])
    assert (given.user.account_id, given.told) == (MIA, "already had access or created")
    assert recorder.lines() == ["POST /rest/api/3/user"]
    assert recorder.bodies() == [{"emailAddress": "mia@example.com", "products": ["jira-software"]}]
    assert recorder.last.headers["Authorization"].startswith("Basic ")


def test_products_are_always_sent_and_always_known() -> None:
    site, recorder = build(httpx.Response(201, json=USER))
    site.create_user("mia@example.com", [])
    assert recorder.bodies() == [{"emailAddress": "mia@example.com", "products": []}]
    for products in (["jira"], "jira-software", "", ["jira-software", "x"]):
        with pytest.raises(BadRequest, match="nothing was sent"):
            site.create_user("mia@example.com", products)
    with pytest.raises(TypeError):
        site.create_user("mia@example.com")  # type: ignore[call-arg]
    assert len(recorder.requests) == 1


def test_a_user_is_read_with_groups_when_asked() -> None:
    site, recorder = build({**USER, "groups": {"size": 1, "items": [TEAM]}})
    user = site.user(MIA, groups=True)
    assert [(group.group_id, group.name) for group in user.groups] == [(GROUP, "power-users")]
    assert (user.active, user.email_address) == (True, None)
    assert recorder.lines() == [f"GET /rest/api/3/user?accountId={MIA}&expand=groups"]
    assert build({"accountId": MIA, "groups": None})[0].user(MIA).active is None
    with pytest.raises(Unreadable, match="somebody else"):
        build({"accountId": "other"})[0].user(MIA)


def test_a_search_takes_exactly_one_of_two() -> None:
    site, recorder = build([])
    for wrong in ({}, {"query": "mia", "account_id": MIA}):
        with pytest.raises(ValueError, match="exactly one"):
            site.search_users(**wrong)
    assert recorder.requests == []


def test_a_search_goes_on_by_what_came_until_nothing_comes() -> None:
    people = [{"accountId": f"u{n}"} for n in range(5)]
    site, recorder = build(people[:2], people[1:5], [])
    found = site.search_users(query="u")
    assert [user.account_id for user in found.users] == ["u0", "u1", "u2", "u3", "u4"]
    assert found.complete
    assert [request.url.params["startAt"] for request in recorder.requests] == ["0", "2", "6"]
    assert {request.url.params["query"] for request in recorder.requests} == {"u"}


def test_a_search_that_is_cut_at_a_thousand_says_so() -> None:
    def answer(request: httpx.Request) -> Any:
        start, size = (int(request.url.params[name]) for name in ("startAt", "maxResults"))
        return [{"accountId": f"u{n}"} for n in range(start, start + size)]

    site, recorder = build(answer)
    found = site.search_users(query="u")
    assert (len(found.users), found.complete) == (1000, False)
    assert len(recorder.requests) == 20


def test_a_search_by_account_is_one_call_and_compared() -> None:
    site, recorder = build([USER, {"accountId": "other"}])
    assert [user.account_id for user in site.search_users(account_id=MIA).users] == [MIA]
    assert recorder.lines() == [f"GET /rest/api/3/user/search?accountId={MIA}&startAt=0&maxResults=50"]


def test_the_shared_budget_of_searches_says_how_long_to_wait(real: Real) -> None:
    site, control = real
    control.switch(site_searches_a_minute=1)
    site.search_users(account_id=ADA.account_id)
    with pytest.raises(RateLimited) as raised:
        site.search_users(account_id=ADA.account_id)
    assert raised.value.after is not None
    assert 0 < raised.value.after <= 61


# Groups


def test_a_group_is_found_by_its_exact_name() -> None:
    near = {"groupId": "x", "name": "Power-Users"}
    site, recorder = build(page(near, TEAM, isLast=True))
    found = site.find_group("power-users")
    assert found is not None
    assert found.group_id == GROUP
    assert recorder.lines() == ["GET /rest/api/3/group/bulk?groupName=power-users&startAt=0&maxResults=50"]
    assert build(page(near, isLast=True))[0].find_group("power-users") is not None
    assert build(page({"groupId": "x", "name": "users"}, isLast=True))[0].find_group("power-users") is None
    assert build(page(isLast=True, total=0))[0].find_group("power-users") is None
    with pytest.raises(Conflict) as raised:
        build(page(near, TEAM, isLast=True))[0].find_group("POWER-users")
    assert raised.value.code == "ambiguous"


def test_members_are_walked_by_what_came() -> None:
    people = [{"accountId": f"u{n}"} for n in range(4)]
    pages = [page(*people[:1], isLast=False, nextPage="https://evil.example/"), page(*people[1:], total=4)]
    site, recorder = build(*pages)
    assert [user.account_id for user in site.members(GROUP)] == ["u0", "u1", "u2", "u3"]
    start = f"GET /rest/api/3/group/member?groupId={GROUP}&includeInactiveUsers=true"
    assert recorder.lines() == [f"{start}&startAt=0&maxResults=50", f"{start}&startAt=1&maxResults=50"]
    assert {request.url.host for request in recorder.requests} == {"acme.atlassian.net"}


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"isLast": True}, page(isLast=False), page(total=3), page(), page({}, isLast=True), page("x"),
     {"values": {}}, {"values": None, "isLast": True}],
    ids=range(10),
)  # fmt: skip
def test_a_page_that_makes_no_sense_is_no_proof_of_absence(answer: Any) -> None:
    site, recorder = build(answer)
    with pytest.raises(Unreadable):
        list(site.members(GROUP))
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("answer", [{}, TEAM, [{"name": 5}], ["x"]])
def test_a_persons_groups_are_a_list(answer: Any) -> None:
    with pytest.raises(Unreadable):
        build(answer)[0].is_member(GROUP, MIA)


def test_a_group_without_an_id_leaves_membership_open() -> None:
    nameless = {"groupId": None, "name": "power-users"}
    with pytest.raises(Unreadable, match="no id"):
        build([nameless])[0].is_member(GROUP, MIA)
    assert build([nameless, TEAM])[0].is_member(GROUP, MIA) is True
    assert build([])[0].is_member(GROUP, MIA) is False


def test_a_member_is_added_by_ids() -> None:
    site, recorder = build(httpx.Response(201, json=TEAM))
    assert site.add_member(GROUP, MIA) is True
    assert recorder.lines() == [f"POST {MEMBERSHIP}"]
    assert recorder.bodies() == [{"accountId": MIA}]


@pytest.mark.parametrize("text", ["Cannot add user. User is already a member of 'x'.", "Benutzer ist Mitglied", ""])
@pytest.mark.parametrize("member", [True, False])
def test_a_refusal_is_settled_by_the_membership_and_not_by_its_text(text: str, member: bool) -> None:
    site, recorder = build(refused(400, text), [TEAM] if member else [])
    if member:
        assert site.add_member(GROUP, MIA) is False
    else:
        with pytest.raises(BadRequest):
            site.add_member(GROUP, MIA)
    assert recorder.lines() == [f"POST {MEMBERSHIP}", READ]


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 429, 500])
def test_only_a_400_asks_for_the_membership_of_who_is_added(status: int) -> None:
    site, recorder = build(refused(status, "User is already a member of"), [TEAM])
    with pytest.raises(AtlassianError):
        site.add_member(GROUP, MIA)
    assert len(recorder.requests) == 1


def test_a_member_is_removed_by_ids() -> None:
    site, recorder = build(httpx.Response(200))
    assert site.remove_member(GROUP, MIA) is True
    assert recorder.lines() == [f"DELETE {MEMBERSHIP}&accountId={MIA}"]


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("member", [True, False])
def test_who_is_not_in_the_group_any_more_is_removed(status: int, member: bool) -> None:
    site, recorder = build(refused(status), [TEAM] if member else [])
    if member:
        with pytest.raises((BadRequest, NotFound)):
            site.remove_member(GROUP, MIA)
    else:
        assert site.remove_member(GROUP, MIA) is False
    assert recorder.lines() == [f"DELETE {MEMBERSHIP}&accountId={MIA}", READ]


def test_a_site_that_does_not_know_the_person_proves_nothing() -> None:
    """A wrong site address answers 404 to everything, and must not look like a removal."""
    with pytest.raises(NotFound, match="remove the member"):
        build(refused(404), refused(404))[0].remove_member(GROUP, MIA)
    with pytest.raises(BadRequest, match="add the member"):
        build(refused(400), refused(404))[0].add_member(GROUP, MIA)


def test_a_membership_that_can_not_be_read_is_tried_again() -> None:
    for call in (SiteClient.add_member, SiteClient.remove_member):
        with pytest.raises(Unavailable) as raised:
            call(build(refused(400), refused(503))[0], GROUP, MIA)
        assert raised.value.retry


ACCOUNT_CALLS: list[Callable[[SiteClient, str], object]] = [
    lambda site, value: site.user(value),
    lambda site, value: site.search_users(account_id=value),
    lambda site, value: site.groups_of(value),
    lambda site, value: site.is_member(GROUP, value),
    lambda site, value: site.add_member(GROUP, value),
    lambda site, value: site.remove_member(GROUP, value),
    lambda site, value: site.add_member(value, MIA),
    lambda site, value: site.remove_member(value, MIA),
    lambda site, value: list(site.members(value)),
]


@pytest.mark.parametrize("call", ACCOUNT_CALLS, ids=range(len(ACCOUNT_CALLS)))
@pytest.mark.parametrize("value", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_a_hostile_id_sends_nothing(call: Callable[[SiteClient, str], object], value: str) -> None:
    site, recorder = build([])
    with pytest.raises(BadRequest, match="nothing was sent"):
        call(site, value)
    assert recorder.requests == []


# Against the sandbox, over a socket


def test_people_of_the_site(real: Real) -> None:
    site, control = real
    assert site.create_user(ADA.email, ["jira-software"]).user.account_id == ADA.account_id
    assert [entry["applied"] for entry in control.ledger(writes=True)] == [False]
    new = site.create_user("new@elsewhere.example", ["jira-software"]).user.account_id
    assert site.user(new).email_address == "new@elsewhere.example"
    assert new in control.members("jira-software-users")
    control.remove_by_hand("jira-software-users", ADA.account_id)
    with pytest.raises(BadRequest):
        site.create_user(ADA.email, ["jira-software"])
    assert [user.account_id for user in site.search_users(query="Linn").users] == [
        seed.company().person("linnea").account_id
    ]
    with pytest.raises(NotFound):
        site.user("712020:nobody")


def test_groups_of_the_site(real: Real) -> None:
    site, control = real
    group = site.find_group("release-managers")
    assert group is not None
    assert group.group_id == RELEASE.org_id
    assert [site.add_member(RELEASE.org_id, NADIA.account_id) for _ in range(2)] == [True, False]
    assert NADIA.account_id in {user.account_id for user in site.members(RELEASE.org_id)}
    assert NADIA.account_id in control.members("release-managers")
    assert [site.remove_member(RELEASE.org_id, NADIA.account_id) for _ in range(2)] == [True, False]
    assert not site.is_member(RELEASE.org_id, NADIA.account_id)
    with pytest.raises(Forbidden):
        site.add_member(EU_ADMINS.org_id, NADIA.account_id)
    with pytest.raises(NotFound):
        list(site.members("no-such-group"))


def test_a_full_group_is_refused_and_not_taken_for_a_membership(real: Real) -> None:
    site, control = real
    control.switch(full_groups=["release-managers"])
    with pytest.raises(BadRequest, match="licensed users"):
        site.add_member(RELEASE.org_id, NADIA.account_id)


def test_all_members_are_listed_and_the_inactive_ones_when_wanted(real: Real) -> None:
    site, control = real
    users = seed.company().group("jira-software-users").org_id
    control.change_account(NADIA.account_id, active=False)
    everybody = list(site.members(users))
    assert len({user.account_id for user in everybody}) == len(everybody) == 200
    assert [user.active for user in everybody if user.account_id == NADIA.account_id] == [False]
    assert NADIA.account_id not in {user.account_id for user in site.members(users, inactive=False)}
    assert site.search_users(account_id=NADIA.account_id).users == ()


def test_the_token_of_a_deactivated_administrator_opens_nothing(real: Real) -> None:
    site, control = real
    control.change_account(seed.company().person("omar").account_id, active=False)
    with pytest.raises(KeyRefused):
        site.find_group("release-managers")


def test_a_page_that_comes_again_is_no_other_page() -> None:
    again = page({"accountId": "u1"}, isLast=False, total=9)
    with pytest.raises(Unreadable, match="same page"):
        list(build(again)[0].members(GROUP))
    with pytest.raises(Unreadable, match="same page"):
        build([{"accountId": "u1"}])[0].search_users(query="u")


@pytest.mark.parametrize("body", [{}, {"unexpected": 1}, [[7]], {"groupId": "other", "name": "power-users"}])
def test_an_answer_about_something_else_adds_nobody_for_sure(body: Any) -> None:
    with pytest.raises(Unreadable) as raised:
        build(httpx.Response(201, json=body))[0].add_member(GROUP, MIA)
    assert raised.value.maybe_done


def test_a_group_that_can_not_be_one_is_not_asked_about() -> None:
    site, recorder = build([TEAM])
    with pytest.raises(BadRequest, match="nothing was sent"):
        site.is_member("../x", MIA)
    assert recorder.requests == []
