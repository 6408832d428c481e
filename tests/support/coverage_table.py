"""Writes docs/atlassian.md: ``python -m tests.support.coverage_table``, after a client or a plan has learned something.

Everything in it is seen, not told: each method is called at the sandbox, each verb is planned and done there, and what
went over the wire is held against Atlassian's documents.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from approvals.plan import Newcomer, Survey
from approvals.policy import Entitlement, Policy
from bot.atlassian.directory import AtlassianDirectory
from bot.clients import Clients
from bot.doctor.rights import FAMILIES
from bot.sandbox import seed
from bot.sandbox.atlassian.roles import CONFLUENCE
from bot.sandbox.demo_policy import demo_policy
from tests.support.atlassian_calls import CALLS, CLIENTS
from tests.support.openapi import Documents
from tests.support.reach import clients
from tests.support.recording import Exchange, Organization, Tape, organization

PAGE = Path(__file__).resolve().parents[2] / "docs" / "atlassian.md"
INTRO = """# Atlassian, endpoint by endpoint

Written by `python -m tests.support.coverage_table`. Do not edit it by hand; a test fails when it is out of date.

{endpoints} endpoints, reached by {methods} methods of the clients in `bot/atlassian/`. The sandbox serves each of them
(the status is the one it answered). *Document*: request and answer are held against Atlassian's own OpenAPI documents
(`tests/contract/test_atlassian_documents.py`, where the known defects of the documents are listed); *fields*: no
document describes it, the clients' own tests hold the shape. Every method meets every fault
([the table](atlassian-faults.md)) and two hundred hostile ids. *Used by* names what makes the call today: a verb of
`approvals.ports`, planned and done, the mirror, the closed loop, or the doctor. Nothing uses the rest yet.

The groups of a SCIM directory go by SCIM, those that no directory feeds by the Organizations API, those that only a
Jira site knows by the site's API, roles on products by the Organizations API; accounts go by SCIM where a directory
that may be written has them, by User management where none has. `bot/atlassian/directory.py` is the table.

"""
COMPANY = seed.company()
ADA, NADIA, MEI, UNMANAGED = (COMPANY.person(handle).account_id for handle in ("ada", "nadia", "mei", "person015"))
POLICY = Policy.parse(demo_policy())
NEW = Newcomer(mail="new@harbour.example", name="New Person", given="New", family="Person")
Endpoint = tuple[str, str]  # method, template


@dataclass
class Heard:
    """What a transport was asked for."""

    calls: list[tuple[Endpoint, int | None]] = field(default_factory=list)

    def __call__(self, method: str, template: str, status: int | None, seconds: float) -> None:
        self.calls.append(((method, template), status))


def entitlement(**changes: Any) -> Entitlement:
    found = POLICY.entitlement("eu-jira-admins")
    assert found is not None
    return replace(found, **changes)


LOCAL, SITE = entitlement(group="release-managers"), entitlement(kind="jira_group", group="release-managers")
ROLE = entitlement(kind="role", group="", role="atlassian/admin", resource=CONFLUENCE)


def given_and_ended(directory: AtlassianDirectory, account: str, what: Entitlement) -> None:
    survey = directory.survey_grant(account, what)
    done(directory, survey)
    for step in survey.steps:
        done(directory, survey.model_copy(update={"steps": (directory.removal(step),)}))


def done(directory: AtlassianDirectory, survey: Survey) -> None:
    for step in survey.steps:
        directory.perform(step)
        directory.is_true(step)


VERBS: dict[str, list[Callable[[AtlassianDirectory], object]]] = {
    "grant, end": [
        lambda d: given_and_ended(d, ADA, entitlement()),
        lambda d: given_and_ended(d, NADIA, LOCAL),
        lambda d: given_and_ended(d, NADIA, SITE),
        lambda d: given_and_ended(d, NADIA, ROLE),
    ],
    "revoke": [
        lambda d: done(d, d.survey_revoke(MEI, entitlement())),
        lambda d: done(d, d.survey_revoke(NADIA, entitlement(group="jira-software-users", removal_only=True))),
    ],
    "revoke org-admin": [lambda d: made_admin_and_ordinary(d, NADIA), lambda d: d.org_admins()],
    "whois, who, tokens": [
        lambda d: d.facts.about(ADA),
        lambda d: d.facts.tokens(ADA),
        lambda d: d.facts.holders(entitlement()),
    ],
    "deactivate": [
        lambda d: done(d, d.survey_deactivate(ADA)),
        lambda d: done(d, d.survey_deactivate(NADIA)),
    ],
    "reactivate": [
        lambda d: done(d, d.survey_reactivate(ADA)),
        lambda d: done(d, d.survey_reactivate(NADIA)),
    ],
    "suspend, restore": [
        lambda d: done(d, d.survey_suspend(UNMANAGED)),
        lambda d: done(d, d.survey_restore(UNMANAGED)),
    ],
    "email": [
        lambda d: done(d, d.survey_email(ADA, "a@harbour.example")),
        lambda d: done(d, d.survey_email(NADIA, "n@harbour.example")),
    ],
    "provision": [
        lambda d: done(d, d.survey_provision(NEW)),
        lambda d: done(d, d.survey_provision(NEW.model_copy(update={"mail": "s@elsewhere.example"}), by_site=True)),
    ],
    "the mirror": [lambda d: list(d.everyone())],
    "the closed loop": [
        lambda d: d.clients.organization.events_stream(),
        lambda d: d.clients.organization.event_actions(),
    ],
    "the doctor": [lambda d: examined(d)],
}
# An invitation is what is left where no directory is ours.
WITHOUT_OURS = {"provision": [lambda d: done(d, d.survey_provision(NEW))]}


def made_admin_and_ordinary(directory: AtlassianDirectory, account: str) -> None:
    directory.clients.organization.assign_org_role(account)
    done(directory, directory.survey_org_admin(account))


class _Facts:
    """What the doctor's checks of rights want."""

    def __init__(self, directory: AtlassianDirectory) -> None:
        self.organization, self.accounts = directory.clients.organization, directory.clients.accounts
        self.have, self.policy = {"a policy"}, POLICY


def examined(directory: AtlassianDirectory) -> None:
    """The reads of the doctor: of each key, each family, each directory."""
    for _, _, read in FAMILIES:
        read(_Facts(directory))  # type: ignore[arg-type]
    directory.clients.organization.organizations()
    for scim in directory.clients.scim.values():
        scim.service_provider_config()
    if directory.clients.site is not None:
        directory.clients.site.find_group("-")


@contextmanager
def heard_of(there: Clients) -> Iterator[Heard]:
    heard = Heard()
    for client in (there.organization, there.accounts, *there.scim.values(), there.site):
        if client is not None:
            client._transport._on_call = heard
    yield heard


def used(there: Organization) -> dict[Endpoint, list[str]]:
    """By endpoint, what calls it."""
    found: dict[Endpoint, dict[str, None]] = {}
    for ours, verbs in ((True, VERBS), (False, WITHOUT_OURS)):
        for verb, runs in verbs.items():
            there.control.reset()
            there.clean = False
            reached = clients(there.base, ours=ours)
            policy = POLICY if ours else replace(POLICY, directories=())
            for run in runs:
                with heard_of(reached) as heard:
                    run(AtlassianDirectory(reached, policy))
                for endpoint, _ in heard.calls:
                    found.setdefault(endpoint, {})[verb] = None
            reached.close()
    return {endpoint: list(verbs) for endpoint, verbs in found.items()}


@dataclass
class Row:
    """One endpoint."""

    methods: dict[str, None] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    exchange: Exchange | None = None


def rows(there: Organization) -> dict[Endpoint, Row]:
    found: dict[Endpoint, Row] = {}
    for call in CALLS:
        there.prepare(call)
        heard, tape = Heard(), Tape()
        client = CLIENTS[call.client](there.base, tape, None)
        client._transport._on_call = heard
        call.on(client)
        for (endpoint, status), exchange in zip(heard.calls, tape.exchanges, strict=True):
            row = found.setdefault(endpoint, Row())
            row.methods[call.name] = None
            row.statuses |= {status or 0}
            row.exchange = exchange
    return found


def text(there: Organization, documents: Documents) -> str:
    table, use = rows(there), used(there)
    unknown = sorted(set(use) - set(table))
    assert not unknown, f"a verb makes calls that no line of CALLS makes: {unknown}"
    lines = ["| endpoint | client method | sandbox | contract | used by |", "| --- | --- | --- | --- | --- |"]
    for (method, template), row in sorted(table.items(), key=lambda item: (item[0][1], item[0][0])):
        assert row.exchange is not None
        operation = documents.operation(row.exchange)
        cells = [
            f"`{method} {template}`",
            ", ".join(f"`{name}`" for name in row.methods),
            ", ".join(map(str, sorted(row.statuses))),
            f"document: `{operation.template}`" if operation else "fields",
            ", ".join(use.get((method, template), [])) or "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return INTRO.format(endpoints=len(table), methods=len(CALLS)) + "\n".join(lines) + "\n"


def main() -> None:
    with organization() as there:
        PAGE.write_text(text(there, Documents()), encoding="utf-8")


if __name__ == "__main__":
    main()
