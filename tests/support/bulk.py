"""Lists for tests: a policy that has the verb bulk, and the way from rows to a request."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlmodel import col, select

from approvals.bulk_rows import ALL_OR_NOTHING, Line, digest_of_lines, judge
from approvals.models import AccessRequest, BulkRow, Grant
from approvals.store import MACHINE
from approvals.workflow import Ask
from bot.sandbox import seed
from tests.support.policies import roomy
from tests.support.world import COMPANY, World, account

DRILL, EU = "breakglass-drill", "eu-jira-admins"


def person(handle: str) -> str:
    """Somebody as a policy names them."""
    one = COMPANY.person(handle)
    return f'{{slack = "{seed.SLACK_TEAM}/{one.slack_id}", account = "{one.account_id}"}}'


def bulk_policy(ceilings: str = "") -> str:
    """Everybody of helpdesk and admins may hand in a list; Omar, Ingrid and Sade answer for most of it."""
    answer = '"role:admin", "role:security"'
    text = roomy().replace('approvers = ["owner"]', f'approvers = ["owner", {answer}]')
    text = text.replace(
        'group = "eu-jira-admins"\n', f'group = "eu-jira-admins"\napprovers = ["manager", {answer}]\n'
    ).replace('approvers = ["manager", "owner", "role:admin"]', f'approvers = ["manager", "owner", {answer}]')
    text = text.replace('ask_for_others = ["manager", "role:admin", "role:security"]',
                        'ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]')  # fmt: skip
    return text + (f"\n[ceilings]\n{ceilings}\n" if ceilings else "")


def line(
    number: int, who: str, verb: str = "grant", what: str = EU, hours: float | None = 2, reason: str = "", **more: str
) -> Line:
    named = verb in ("grant", "revoke")
    seconds = int(hours * 3600) if hours is not None and verb == "grant" else None
    known = who in COMPANY.by_handle
    return Line(
        number, COMPANY.person(who).email if known else who, verb, what if named else "",
        "" if seconds is None else f"{hours}h", seconds, reason, **more,
    )  # fmt: skip


def hand_in(world: World, lines: Sequence[Line], who: str = "kofi", *, all_or_nothing: bool = False) -> AccessRequest:
    """As the job does it that has read a file."""
    world.clicks += 1
    speaker, reason = world.speaker(who), "INC-42: a list of many"
    with world.store.read() as session:
        policy = world.policies.current(session)
        rows = judge(session, policy, speaker, lines, world.store.time_in(session), reason)
    value = digest_of_lines(lines) + (ALL_OR_NOTHING if all_or_nothing else "")
    ask = Ask("bulk", speaker.account, "", None, reason, f"list {world.clicks}", value=value, rows=tuple(rows))
    return world.request(world.workflow.ask(speaker, ask))


def planned(world: World, lines: Sequence[Line], who: str = "kofi", *, all_or_nothing: bool = False) -> AccessRequest:
    request = hand_in(world, lines, who, all_or_nothing=all_or_nothing)
    world.run()
    return world.request(request)


def approve(world: World, request: AccessRequest, *who: str, minutes: int = 6) -> AccessRequest:
    """Each types the number of accounts; then the pause passes."""
    accounts = len({row.account for row in rows(world, request) if row.state != "refused"})
    for approver in who or ("omar", "sade"):
        world.click(approver, request, typed=str(accounts))
        world.run()
    world.later(timedelta(minutes=minutes))
    world.run()
    return world.request(request)


def resume(world: World, request_id: str) -> None:
    """What the button Continue leaves behind."""
    with world.store.write() as w:
        w.move(w.request(request_id), "resume", actor=MACHINE)
        w.enqueue("apply", request_id)
    world.run()


def rows(world: World, request: AccessRequest) -> list[BulkRow]:
    with world.store.read() as session:
        query = select(BulkRow).where(BulkRow.request_id == request.id).order_by(col(BulkRow.number))
        return list(session.exec(query))


def states(world: World, request: AccessRequest) -> list[str]:
    return [row.state for row in rows(world, request)]


def grants(world: World, request: AccessRequest) -> list[Grant]:
    with world.store.read() as session:
        return list(session.exec(select(Grant).where(Grant.request_id == request.id).order_by(col(Grant.id))))


def in_group(world: World, handles: Iterable[str], group: str = EU) -> list[bool]:
    return [account(who) in world.directory.held(group) for who in handles]
