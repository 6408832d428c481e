"""`gatehouse bulk FILE --as PERSON`: hand in a list from a shell. Whoever is named says in Slack whether it is theirs.

Registered in `bot/cli.py`. From here nothing is asked, approved or given.
"""

import hashlib
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlmodel import Session

    from approvals.models import Binding
    from approvals.policy import Policy

WAITS_FOR = timedelta(days=1)
WAITS = "Nobody is asked before they press the button in their direct message from Gatehouse."


def bulk(
    file: Annotated[Path, typer.Argument(help="A CSV file: person, action, entitlement, until, reason.")],
    as_: Annotated[str, typer.Option("--as", help="In whose name: a Slack user (U…) or an e-mail address.")],
    reason: Annotated[str, typer.Option(help="What for; whoever answers reads it.")] = "",
    all_or_nothing: Annotated[bool, typer.Option(help="Refuse the whole list when one row can't be done.")] = False,
) -> None:
    """Hand in a list in the name of somebody bound, who confirms it in Slack."""
    from approvals import people
    from approvals.models import Preview
    from approvals.policy_book import NoPolicy, PolicyBook
    from approvals.store import Store
    from bot.cli import need_schema, open_database, read_settings, stop
    from bot.shell import shell_actor, tell_security
    from handlers.bulk import HandedIn
    from handlers.bulk_file import LARGEST, BadFile, read_list
    from handlers.text import counted

    try:
        data = file.read_bytes() if file.stat().st_size <= LARGEST else b"x" * (LARGEST + 1)
    except OSError as error:
        stop(f"{file} can't be read ({error.strerror}).")
    settings = read_settings(needs=())
    with open_database(settings) as database:
        need_schema(database)
        store = Store(database, movable_time=settings.on_loopback)
        with store.read() as session:
            try:
                policy = PolicyBook().current(session)
            except NoPolicy:
                stop("There is no policy in the record yet. Start Gatehouse once.")
            who = _named(session, policy, as_)
            zone = people.zone_of(session, who.team, who.user) if who else ""
            now = store.time_in(session)
        if policy.reason.required and len(reason) < policy.reason.at_least:
            stop(f"--reason: say what for, in at least {policy.reason.at_least} characters; whoever answers reads it.")
        if who is None:
            stop(f"--as {as_}: nobody bound is known by that. Write a Slack user's id, or an e-mail address.")
        try:
            lines = read_list(data, now, zone)
            text = data.decode("utf-8-sig" if data[:2] not in (b"\xff\xfe", b"\xfe\xff") else "utf-16")
        except BadFile as bad:
            stop(str(bad))
        actor, name = shell_actor(), f"list:{secrets.token_hex(8)}"
        given = HandedIn(reason, all_or_nothing, text=text, name=file.name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        with store.write() as w:
            w.add(
                Preview(
                    id=name, hash=digest, team=who.team, user=who.user, subject=who.account, entitlement="",
                    form=given.as_text(), at=w.now,
                )
            )  # fmt: skip
            data_ = {"digest": digest, "rows": len(lines), "as": who.account, "whole": all_or_nothing}
            w.audit("bulk.handed_in", actor=actor, request=name, data=data_, details={"reason": reason})
            w.tell(
                "bulk_confirm", place="person", once=f"confirm:{name}", team=who.team, user=who.user, id=name,
                by=actor.account.removeprefix("shell:"), name=file.name, rows=len(lines), reason=reason, digest=digest,
                whole=all_or_nothing,
            )  # fmt: skip
            w.enqueue("bulk lapse", name, at=w.now + WAITS_FOR)
            did = f"handed in a list of {counted(len(lines), 'row')} in the name of {who.user} ({who.account})"
            tell_security(w, actor, did)
    typer.echo(f"{counted(len(lines), 'row is', 'rows are')} handed in for {as_}. {WAITS}")


def _named(session: "Session", policy: "Policy", written: str) -> "Binding | None":
    """The binding of a Slack user, or of whoever has this address; only of somebody who would be heard."""
    from sqlmodel import select

    from approvals import people
    from approvals.models import Binding

    user = re.fullmatch(r"(?:[A-Z0-9]+/)?([UW][A-Z0-9]+)", written.strip())
    if user:
        found = session.exec(select(Binding).where(Binding.user == user[1])).first()
    else:
        account = people.account_with(session, written.strip())
        found = people.slack_user_of(session, account) if account else None
    if found is None or isinstance(people.speaker(session, policy, found.team, found.user), people.Stop):
        return None
    return found
