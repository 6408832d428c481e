"""The commands about the policy: is the file sound, and what does it say of somebody. Registered in `bot/cli.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlmodel import Session

    from approvals.policy import Entitlement, Person, Policy

app = typer.Typer(no_args_is_help=True, help="The rules: who may ask, who must answer.")


@app.command("check")
def check(file: Annotated[Path | None, typer.Argument(help="Default: POLICY_FILE.")] = None) -> None:
    """Read a policy file and say what is wrong with it."""
    from bot.cli import read_policy, read_settings

    policy = read_policy(file or read_settings(needs=()).policy_file)
    typer.echo(
        f"{len(policy.entitlements)} entitlements, {len(policy.directories)} directories: the policy can be used."
    )


@app.command("explain")
def explain(
    who: Annotated[str, typer.Option(help="Who asks: an e-mail address, an account id, or WORKSPACE/USER.")],
    wants: Annotated[str, typer.Option(help="The entitlement.")],
    subject: Annotated[str, typer.Option("--for", help="Whom it is for; the same person unless it is said.")] = "",
    file: Annotated[Path | None, typer.Option(help="Another policy than the one in force.")] = None,
) -> None:
    """Say whether somebody may ask for something, who would answer, and because of which rule. Changes nothing."""
    from bot.cli import need_schema, open_database, read_policy, read_settings, stop

    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        with database.reading() as session:
            policy = read_policy(file) if file else _in_force(session)
            entitlement = policy.entitlement(wants)
            if entitlement is None:
                near = policy.nearest(wants)
                stop(f"There is no entitlement {wants}.", *([f"Did you mean {' or '.join(near)}?"] if near else []))
            asker = _person(session, policy, who)
            account = _person(session, policy, subject).account if subject else asker.account
            lines = list(_lines(session, policy, entitlement, asker, account))
    for line in lines:
        typer.echo(line)


def _in_force(session: "Session") -> "Policy":
    from approvals.policy_book import NoPolicy, PolicyBook
    from bot.cli import stop

    try:
        return PolicyBook().current(session)
    except NoPolicy:
        stop("No policy is in force yet: name a file with --file, or start Gatehouse once.")


def _person(session: "Session", policy: "Policy", said: str) -> "Person":
    """Somebody who is bound, by any of the three names."""
    from sqlmodel import col, or_, select

    from approvals import people
    from approvals.models import Binding
    from bot.cli import stop

    account = people.account_with(session, said) if "@" in said else said
    team, _, user = said.partition("/")
    by_slack = (col(Binding.team) == team) & (col(Binding.user) == user)
    bound = session.exec(select(Binding).where(or_(col(Binding.account) == account, by_slack))).first()
    if bound is None:
        stop(f"Nobody is known as {said}: give an e-mail address, an account id or WORKSPACE/USER of somebody bound.")
    return policy.person(bound.account, bound.team, bound.user)


def _lines(
    session: "Session", policy: "Policy", entitlement: "Entitlement", asker: "Person", subject: str
) -> "list[str]":
    from datetime import UTC, datetime

    from approvals import authority, people
    from approvals.authority import Case
    from approvals.cases import facts_of
    from approvals.policy import say_duration

    facts = facts_of(session, policy, entitlement, subject, datetime.now(UTC))
    case = Case(policy, entitlement, "grant", asker.account, subject, facts)
    verdict = authority.may_request(case, asker)
    named = case.approvers
    asked = people.who_can_be_asked(session, named)
    accounts = {asker.account, subject, *named.accounts}
    called = people.names(session, accounts)
    whom = "" if subject == asker.account else f" for {called[subject]}"
    lines = [
        f"{called[asker.account]} {'may' if verdict else 'may not'} ask for {entitlement.name}{whom}: "
        f"{verdict.because} ({verdict.rule}).",
        f"At most {say_duration(entitlement.longest)}; the question stays open {say_duration(entitlement.lifetime)}.",
    ]
    for candidate in named:
        reached = "" if candidate in asked else ", who can't be asked: not bound, or no full member of the workspace"
        lines.append(f"{called[candidate.account]} may answer, as {candidate.because}{reached}.")
    lines += [f"Not counted: {why}." for why in named.missing]
    if not asked:
        lines.append("So nobody could answer, and the request would be refused when it is asked.")
    return lines
