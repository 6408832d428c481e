"""Both sides at once, where Atlassian shows late what it took and refuses it a second time: one call, and it is so."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from approvals.models import AccessRequest
from approvals.policy import ORG_ADMIN, Policy
from approvals.states import Grant, Status
from approvals.store import Store
from approvals.workflow import Ask
from bot.atlassian.directory import AtlassianDirectory
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from tests.support.policies import roomy
from tests.support.reach import clients
from tests.support.world import World, account, name_of

Both = tuple[World, AtlassianControl]


@pytest.fixture
def both(store: Store) -> Iterator[Both]:
    """The decisions with the sandbox for Atlassian; what it shows is twenty seconds old, and it repeats nothing."""
    world = World(store)
    with running() as base, AtlassianControl(base) as control:
        there = clients(base)
        atlassian: Any = AtlassianDirectory(there, Policy.parse(roomy()))
        yield World(store, after=SimpleNamespace(directory=atlassian, incidents=world.incidents, clicks=0)), control  # type: ignore[arg-type]
        there.close()


def shows_late(control: AtlassianControl) -> None:
    control.clear_ledger()
    control.switch(visibility_delay=20, repeat_is_refused=True)


def at(both: Both, seconds: float) -> None:
    world, control = both
    control.set_clock(seconds)
    world.later(timedelta(seconds=seconds))
    world.run()


def over(both: Both, since: float, until: float) -> None:
    while since < until:
        since += 1
        at(both, since)


def decided(world: World, request: AccessRequest, *who: str) -> None:
    world.run()
    assert world.request(request).status == Status.PENDING, world.request(request).because
    for approver in who:
        world.click(approver, request, typed=name_of(request.subject))
        world.run()


def ask(world: World, verb: str, who: str, subject: str, what: str = "") -> AccessRequest:
    wanted = Ask(verb, account(subject), what, None, "INC-42: it must be", f"{verb} by {who}")
    return world.request(world.workflow.ask(world.speaker(who), wanted))


def written(control: AtlassianControl) -> list[tuple[str, int]]:
    """The last word of each path that was written to, and what was answered."""
    return [(call["path"].rpartition("/")[2], call["status"]) for call in control.ledger(writes=True)]


def test_a_role_is_given_and_taken_with_one_call_each(both: Both) -> None:
    world, control = both
    request = world.ask("ada", "jira-basic")
    world.run()
    shows_late(control)
    decided(world, request, "grace")
    assert written(control) == [("assign", 204)]
    over(both, 0, 40)
    assert (world.request(request).status, written(control)) == (Status.DONE, [("assign", 204)])
    over(both, 7200, 7240)
    grant = world.grant(request)
    assert grant is not None
    assert grant.status == Grant.ENDED
    assert written(control) == [("assign", 204), ("revoke", 204)]


def test_somebody_is_suspended_with_one_call(both: Both) -> None:
    world, control = both
    request = ask(world, "suspend", "sade", "tomas")
    world.run()
    shows_late(control)
    decided(world, request, "grace", "omar")
    over(both, 0, 40)
    assert (world.request(request).status, written(control)) == (Status.DONE, [("suspend", 204)])


def test_the_role_of_organization_admin_is_revoked_with_one_call(both: Both) -> None:
    world, control = both
    atlassian: Any = world.directory
    for who in ("linnea", "sade"):
        atlassian.clients.organization.assign_org_role(account(who))
    request = ask(world, "revoke", "sade", "linnea", ORG_ADMIN)
    world.run()
    shows_late(control)
    decided(world, request, "omar", "ingrid")
    over(both, 360, 400)
    assert (world.request(request).status, written(control)) == (Status.DONE, [("revoke", 204)])
