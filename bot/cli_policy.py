"""The commands about the policy: is the file sound, and what does it say of somebody. Registered in `bot/cli.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlmodel import Session

    from approvals.policy import Entitlement, Person, Policy

app = typer.Typer(no_args_is_help=True, help="The rules: who may ask, who must answer.")


@app.command("check")
def check(
    file: Annotated[Path | None, typer.Argument(help="Default: POLICY_FILE.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Also ask Slack and Atlassian for all it names.")] = False,
) -> None:
    """Read a policy file and say what is wrong with it."""
    import os

    from bot.cli import read_policy, read_settings

    policy = read_policy(file or read_settings(needs=()).policy_file)
    typer.echo(
        f"{len(policy.entitlements)} entitlements, {len(policy.directories)} directories: the policy can be used."
    )
    if live:
        from bot.cli_setup import log_what_is_found
        from bot.doctor.examination import examine, is_well, show

        log_what_is_found()
        findings = examine(os.environ, Path(".env"), instead=policy)
        show(findings)
        if not is_well(findings):
            raise typer.Exit(1)


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
            policy = read_policy(file) if file else _in_force(session) or _to_come(settings.policy_file)
            entitlement = policy.entitlement(wants)
            if entitlement is None:
                near = policy.nearest(wants)
                stop(f"There is no entitlement {wants}.", *([f"Did you mean {' or '.join(near)}?"] if near else []))
            asker = _person(session, policy, who)
            account = _person(session, policy, subject).account if subject else asker.account
            lines = list(_lines(session, policy, entitlement, asker, account))
    for line in lines:
        typer.echo(line)


@app.command("simulate")
def simulate(
    file: Annotated[Path, typer.Argument(help="The changed policy.")],
    days: Annotated[int, typer.Option(min=0, max=36_500, help="How far to look back.")] = 30,
) -> None:
    """Say of the requests of the last weeks what a changed policy would have said otherwise. Changes nothing."""
    from datetime import timedelta

    from approvals.simulating import differences, page_of
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_policy, read_settings, stop

    settings = read_settings(needs=())
    new = read_policy(file)
    looked_at = differ = 0
    with open_database(settings) as database:
        need_schema(database)
        store, after = Store(database, movable_time=settings.on_loopback), ""
        while True:
            with store.read() as session:
                now = store.time_in(session)
                page = page_of(session, now - timedelta(days=days), after)
                old = _in_force(session)
                if old is None:
                    stop("No policy is in force yet, so nothing was asked by one: start Gatehouse once.")
                found = [(request, list(differences(session, old, new, request, now))) for request in page]
            for request, said in found:
                looked_at, differ, after = looked_at + 1, differ + bool(said), request.id
                what = f"{request.verb} {request.entitlement}".strip()
                for line in said:
                    typer.echo(f"{request.id} ({what}, {request.status}): {line}")
            if not page:
                break
    typer.echo(f"{looked_at} requests of the last {days} days; {differ} would have gone otherwise.")


@app.command("test")
def try_cases(
    file: Annotated[Path | None, typer.Argument(help="Default: POLICY_FILE.")] = None,
    cases: Annotated[Path | None, typer.Argument(help="Default: policy.cases.toml beside it.")] = None,
) -> None:
    """Try the cases written beside a policy, for your own CI; status 1 when one comes out otherwise."""
    from approvals.policy_cases import CasesProblem, read_cases, run_cases
    from bot.cli import read_policy, read_settings, stop

    path = file or Path(read_settings(needs=()).policy_file)
    policy = read_policy(path)
    beside = cases or path.with_suffix(".cases.toml")
    try:
        written, lines = read_cases(beside.read_text(encoding="utf-8"), str(beside))
    except (OSError, UnicodeDecodeError) as error:
        stop(f"{beside} can't be read ({error}). Start from policy.example.cases.toml.")
    except CasesProblem as problem:
        stop(str(problem))
    results = list(run_cases(policy, written, lines))
    for result in results:
        wrong_because = f": {result.wrong}" if result.wrong else ""
        typer.echo(f"{'✗' if result.wrong else '✓'} line {result.line}: {result.said}{wrong_because}")
    wrong = sum(1 for result in results if result.wrong)
    typer.echo(f"{len(results)} cases, {wrong} of them otherwise than expected.")
    if wrong:
        raise typer.Exit(1)


@app.command("apply")
def apply(file: Annotated[Path | None, typer.Argument(help="Default: POLICY_FILE.")] = None) -> None:
    """Propose a policy: it counts when one admin agrees in Slack, two where it changes who decides."""
    from approvals.policy_book import NoPolicy, PolicyBook, adopt_first
    from approvals.policy_difference import Difference
    from approvals.proposals import open_proposal
    from approvals.store import Store
    from bot.cli import open_database, prepare, read_policy, read_settings
    from bot.shell import shell_actor, tell_security

    settings = read_settings(needs=())
    path = file or settings.policy_file
    policy, text = read_policy(path), Path(path).read_text(encoding="utf-8")
    with open_database(settings, makes=True) as database:
        prepare(database)
        store = Store(database, movable_time=settings.on_loopback)
        try:
            with store.read() as session:
                old = PolicyBook().current(session)
        except NoPolicy:
            adopt_first(store, text, policy)
            typer.echo(f"{path} is the first policy, so it counts at once.")
            return
        if old.hash == policy.hash:
            typer.echo(f"{path} is the policy in force, so there is nothing to do.")
            return
        difference = Difference(old, policy)
        shown = difference.sentences or ["The text differs, and nothing that it means."]
        actor = shell_actor()
        with store.write() as w:
            body = {"text": text, "file": Path(path).name}
            id = open_proposal(w, "policy", body, "\n".join(shown), difference.needs, actor)
            tell_security(w, actor, f"proposed a policy: {id}")
    for line in shown:
        typer.echo(f"~ {line}")
    who = "one admin agrees" if difference.needs == 1 else "two admins agree, for it changes who decides"
    typer.echo(f"{id}: nothing has changed yet. It counts when {who} in Slack, within 24 hours.")


def _in_force(session: "Session") -> "Policy | None":
    from approvals.policy_book import NoPolicy, PolicyBook

    try:
        return PolicyBook().current(session)
    except NoPolicy:
        return None


def _to_come(file: Path) -> "Policy":
    """The one that the first start will take."""
    from bot.cli import read_policy

    typer.echo(f"No policy is in force yet; this is by {file}, which the first start takes.")
    return read_policy(file)


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
    read = people.slack_was_read(session)
    whom = "" if subject == asker.account else f" for {called[subject]}"
    lines = [
        f"{called[asker.account]} {'may' if verdict else 'may not'} ask for {entitlement.name}{whom}: "
        f"{verdict.because} ({verdict.rule}).",
        f"At most {say_duration(entitlement.longest)}; the question stays open {say_duration(entitlement.lifetime)}.",
        *_how_many(entitlement),
    ]
    for candidate in named:
        bound = people.slack_user_of(session, candidate.account) is not None
        reached = "" if candidate in asked or (bound and not read) else f", who can't be asked: {_why_not(bound)}"
        lines.append(f"{called[candidate.account]} may answer, as {candidate.because}{reached}.")
    lines += [f"Not counted: {why}." for why in named.missing]
    if not read:
        lines.append("Slack was not read yet, so whether they are full members of the workspace is not known.")
    elif not asked:
        lines.append("So nobody could answer, and the request would be refused when it is asked.")
    return lines


def _why_not(bound: bool) -> str:
    return "no full member of the workspace" if bound else "bound to no Slack user"


def _how_many(rule: "Entitlement") -> "list[str]":
    """Tier, pause, steps and levels, where they are not the plainest."""
    from approvals.policy import say_duration

    lines = []
    if rule.tier != "low" or rule.approvals > 1:
        pause = f", then a pause of {say_duration(rule.pause)}" if rule.pause else ""
        lines.append(f"Of the {rule.tier} tier: {rule.approvals} approvals{pause}.")
    if len(rule.stages) > 1 or any(stage.different_groups for stage in rule.stages):
        for number, stage in enumerate(rule.stages, 1):
            groups = " from different groups" if stage.different_groups else ""
            asked = ", ".join(source.said for source in stage.sources)
            lines.append(f"Step {number}: {stage.approvals} of {asked}{groups}.")
    for number, level in enumerate(rule.escalation, 1):
        after = say_duration(number * rule.escalate_after)
        lines.append(f"After {after} without enough answers also {', '.join(source.said for source in level)}.")
    return lines
