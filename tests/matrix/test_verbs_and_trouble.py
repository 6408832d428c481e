"""Each verb, and what may be in its way: a table written by hand says how it ends and in which words, cell by cell.

Against the whole bot and Atlassian's stand-in, but for the drawing in Slack: what is said is read from the record.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlmodel import col, select

from approvals import people
from approvals.jobs import RECURRING
from approvals.models import AccessRequest, AuditEntry, Call, StepRow
from approvals.plan import Newcomer
from approvals.planning import plan_of
from approvals.policy import ORG_ADMIN
from approvals.states import Status
from approvals.workflow import Ask, Click, Refused
from bot.sandbox import seed
from tests.bot.settled import COMPANY, settle
from tests.support.living import Living, living
from tests.support.outside import copied
from tests.support.policies import roomy

TROUBLE = ("unknown", "unmanaged", "already so", "fed", "protected", "closed", "refused", "lost")
VERBS = (
    "grant", "revoke", "revoke org-admin", "deactivate", "reactivate", "offboard", "suspend", "restore", "tokens",
    "email", "provision",
)  # fmt: skip
DONE, REFUSED, FAILED, PARTLY, NOT_ASKED = "done", "refused", "failed", "partly", "not asked"


class Cell(NamedTuple):
    """How it ends, and what is said: in the refusal, as the reason of the request, or in its plan."""

    ends: str
    said: str


NOBODY = Cell(REFUSED, r"has no account 712020:nobody.* Somebody must invite or provision it first")
PROTECTED = Cell(NOT_ASKED, r"protected \(emergency administrator\), so no command changes anything of it")
CLOSED = Cell(REFUSED, r"was deleted for good, so nothing of it can be changed")
FED = Cell(REFUSED, r"fed by the identity provider of directory identity-provider\. Change it there")
NO_RECORD = Cell(REFUSED, r"has no record in directory gatehouse, which owns the group eu-jira-admins")
FORBIDDEN = r"it is not allowed: Forbidden \[HTTP 403"
AS_ASKED = Cell(DONE, r"one of the role admin|manager")


def row(**cells: Cell) -> dict[str, Cell]:
    """A verb's cells; what nobody names ends as it does for most verbs."""
    usual = {
        "unknown": NOBODY, "unmanaged": AS_ASKED, "already_so": AS_ASKED, "fed": AS_ASKED, "protected": PROTECTED,
        "closed": CLOSED, "refused": Cell(FAILED, FORBIDDEN), "lost": AS_ASKED,
    }  # fmt: skip
    assert set(cells) <= set(usual)
    return {name.replace("_", " "): cell for name, cell in (usual | cells).items()}


def not_ours(how: str) -> Cell:
    return Cell(REFUSED, rf"is not managed by the organization, so it can't be {how}\. It can be suspended")


TABLE = {
    "grant": row(unmanaged=NO_RECORD, fed=NO_RECORD, closed=Cell(REFUSED, "was deleted, so nothing can be given")),
    "revoke": row(
        unmanaged=NO_RECORD, fed=NO_RECORD, closed=Cell(DONE, "keeps jira-software through the group"),
        lost=Cell(DONE, "keeps jira-software through the group jira-software-users"),
    ),
    "revoke org-admin": row(
        unmanaged=Cell(DONE, "is like any other"),
        fed=Cell(DONE, "is like any other"), closed=Cell(DONE, "is like any other"),
        lost=Cell(DONE, "is like any other"),
    ),
    "deactivate": row(
        unmanaged=not_ours("deactivated"), fed=FED, refused=Cell(PARTLY, FORBIDDEN),
        lost=Cell(DONE, r"Active in confluence on harbour-works\.atlassian\.net, jira-software on"),
    ),
    "reactivate": row(
        unmanaged=Cell(REFUSED, r"so only Atlassian can let it in again.*/access restore"), fed=FED,
        refused=Cell(PARTLY, FORBIDDEN), lost=Cell(DONE, "Gatehouse did not deactivate this account"),
    ),
    "offboard": row(
        unmanaged=Cell(DONE, "suspended here instead of deactivated.*the Atlassian account lives on"), fed=FED,
        refused=Cell(PARTLY, FORBIDDEN),
    ),
    "suspend": row(unmanaged=Cell(DONE, "lives on elsewhere")),
    "restore": row(unmanaged=Cell(DONE, "lives on elsewhere")),
    "tokens": row(
        unmanaged=Cell(REFUSED, r"so its API tokens can't be deleted here\. It can be suspended"),
        fed=Cell(DONE, "1 API token is deleted; nothing brings it back"),
    ),
    "email": row(
        unmanaged=not_ours("given another address"),
        fed=Cell(REFUSED, "owned by the identity provider of directory identity-provider.*Change it there"),
        lost=Cell(DONE, "All sessions of the account end"),
    ),
    "provision": row(
        unknown=Cell(DONE, "Whoever is in this directory is put into all-staff-ours"),
        unmanaged=Cell(DONE, "it is used as it is"), already_so=Cell(DONE, "it is used as it is"),
        fed=Cell(DONE, "fed by the identity provider of directory identity-provider, so none is made"),
        closed=Cell(REFUSED, "was deleted.*rather than making another one"),
    ),
}  # fmt: skip
EVENT = {DONE: "request.done", REFUSED: "request.refused", FAILED: "request.failed", PARTLY: "request.partly"}


@pytest.fixture(scope="module")
def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    record = copied(migrated_file, tmp_path_factory.mktemp("verbs-and-trouble"))
    policy = roomy().replace('group = "eu-jira-admins"\n', 'group = "eu-jira-admins"\napprovers = ["role:admin"]\n')
    policy += "\n[ceilings]\nan_hour = 100000\na_day = 100000\n"
    with living(record, policy=policy, works=False, site=True) as bot:
        kinds = dict(bot.house.worker.kinds)
        for kind in (*RECURRING, "draw", "tell", "home"):
            kinds[kind] = lambda claim: None
        bot.house.worker.kinds = kinds
        yield bot


@pytest.fixture
def bot(running: Living) -> Iterator[Living]:
    yield running
    running.atlassian.clear_faults()


_OURS = iter([p for p in COMPANY.people if p.directory is seed.OURS and p.handle.startswith("person")])
_FED = iter([p for p in COMPANY.people if p.directory is seed.FED and p.handle.startswith("person")])
_LOCAL = iter([p for p in COMPANY.people if p.directory is None and not p.state and p.handle.startswith("person")
               and p.handle != seed.EMERGENCY])  # fmt: skip
_MOVED = [timedelta(0)]


def somebody(bot: Living, verb: str, trouble: str) -> str:
    """The account it is about, in the state that the trouble wants."""
    if trouble == "unknown":
        return "712020:nobody-of-that-name"
    if trouble == "protected":
        return COMPANY.person(seed.EMERGENCY).account_id
    if trouble == "unmanaged":
        account = next(_LOCAL).account_id
        _prepare(bot, verb, account, so=False)
        bot.atlassian.change_account(account, managed=False)
        return account
    account = (next(_FED) if trouble == "fed" else next(_OURS)).account_id
    _prepare(bot, verb, account, so=trouble == "already so")
    if trouble == "closed":
        bot.atlassian.change_account(account, closed=True)
    return account


def _prepare(bot: Living, verb: str, account: str, *, so: bool) -> None:
    """The state in which the verb has something to do; or, ``so``, nothing."""
    organization = bot.house.directory.clients.organization
    match verb:
        case "grant" | "revoke" if so == (verb == "grant"):
            bot.atlassian.add_by_hand("eu-jira-admins", account) if fits(account) else None
        case "revoke org-admin" if not so:
            organization.assign_org_role(account)
        case "deactivate" | "offboard" if so:
            bot.atlassian.change_account(account, active=False)
        case "reactivate" if not so:
            bot.atlassian.change_account(account, active=False)
        case "suspend" | "restore" if so == (verb == "suspend"):
            organization.suspend(account, directory=seed.ORG_DIRECTORY_ID)
        case "tokens" if not so:
            bot.atlassian.make_token(account, label="old laptop")


def fits(account: str) -> bool:
    return next(p for p in COMPANY.people if p.account_id == account).directory is seed.OURS


def question(verb: str, account: str, trouble: str, number: int) -> Ask:
    named, _, road = verb.partition(" ")
    entitlement = ORG_ADMIN if road else "eu-jira-admins" if named in ("grant", "revoke") else ""
    value = ""
    if named == "email":
        person = next((p for p in COMPANY.people if p.account_id == account), None)
        value = person.email if person and trouble == "already so" else f"new{number}@{seed.DOMAIN}"
    if named == "provision":
        person = next((p for p in COMPANY.people if p.account_id == account), None)
        person = None if trouble in ("refused", "lost") else person
        mail = person.email if person else f"new{number}@{seed.DOMAIN}"
        value = Newcomer(mail=mail, name="Zoë Lind", given="Zoë", family="Lind").model_dump_json()
        account = account if person else mail
    length = timedelta(hours=2) if named == "grant" else None
    return Ask(named, account, entitlement, length, f"HR-{number}: it must be", f"cell {number}", value=value)


def faults(bot: Living, trouble: str) -> None:
    """Of the writing calls: an administrator's 403, or an answer that never arrives."""
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        path = r"^(?!.*(/search|get-scim-links|/workspaces)).*$"
        if trouble == "refused":
            bot.atlassian.fault(method=method, path_regex=path, status=403, times=None)
        elif trouble == "lost":
            bot.atlassian.fault(method=method, path_regex=path, lost=True)


def approve(bot: Living, request: str) -> None:
    """Whoever may, until it is enough."""
    for number, who in enumerate(("omar", "ingrid", "grace", "linnea", "mei", "sade")):
        with bot.store.read() as session:
            row = session.get_one(AccessRequest, request)
            plan = plan_of(session, row)
        if row.status != Status.PENDING or plan is None:
            return
        bot.house.desk.workflow.vote(
            Click(request, row.version, "approve", seed.SLACK_TEAM, COMPANY.person(who).slack_id, "D1",
                  f"{request} {number}", typed=plan.subject_name)
        )  # fmt: skip
        settle(bot)


def speaker(bot: Living, verb: str) -> Any:
    who = COMPANY.person("kofi" if verb in ("grant", "email") else "sade").slack_id
    with bot.store.read() as session:
        return people.speaker(session, bot.house.policies.current(session), seed.SLACK_TEAM, who)


def outcome(bot: Living, verb: str, trouble: str, number: int) -> tuple[str, str, AccessRequest | None]:
    """How it ended and everything that was said."""
    ask = question(verb, somebody(bot, verb, trouble), trouble, number)
    try:
        request = bot.house.desk.workflow.ask(speaker(bot, verb), ask).id
    except Refused as refused:
        return "not asked", str(refused), None
    settle(bot)
    faults(bot, trouble)
    approve(bot, request)
    _MOVED[0] += timedelta(minutes=6)
    bot.store.move_time(_MOVED[0])
    settle(bot)
    with bot.store.read() as session:
        row = session.get_one(AccessRequest, request)
        plan = plan_of(session, row)
    said = f"{row.because} {' '.join(plan.warnings) if plan else ''}"
    return row.status, said, row


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("verb", VERBS)
def test_it_ends_in_the_right_words_and_the_right_record(bot: Living, verb: str, trouble: str) -> None:
    number = VERBS.index(verb) * len(TROUBLE) + TROUBLE.index(trouble)
    cell = TABLE[verb][trouble]
    ends, said, request = outcome(bot, verb, trouble, number)
    assert ends == cell.ends, said
    assert re.search(cell.said, said), said
    if request is None:
        return
    with bot.store.read() as session:
        entries = select(AuditEntry.event).where(AuditEntry.request_id == request.id).order_by(col(AuditEntry.seq))
        events = session.exec(entries).all()
        calls = session.exec(
            select(Call).join(StepRow, col(StepRow.id) == col(Call.step_id)).where(StepRow.request_id == request.id)
        ).all()
    assert EVENT[ends] in events
    assert (len(calls) > 0) == (_calls(verb, trouble) if ends == DONE else ends in (FAILED, PARTLY)), calls
    assert any(call.answer is None for call in calls) == (trouble == "lost"), "an answer that was lost is in doubt"


def _calls(verb: str, trouble: str) -> bool:
    """Whether what is done needs a call at all: not where it is so already, nor where another owner has done it."""
    if verb == "provision":
        return trouble not in ("already so", "fed")
    return trouble != "already so"
