"""Sources of approvers that are looked up: can each be read now, and is anybody behind it who is bound?"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from sqlmodel import col, select

from approvals.models import Binding
from approvals.policy import Policy, Source
from approvals.ports import OutsideError
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.oncall.sources import build_on_call
from bot.settings import SettingsProblem
from bot.sources import described

MEND = {
    "usergroup": "Correct its id in the policy, or grant the app the scope usergroups:read.",
    "group": "Correct its name in the policy, or create the group.",
    "oncall": "Look at the table of that name under [oncall] in the policy, and at the settings it needs.",
}
MOST = 1001


def sources(facts: Facts) -> Iterator[Finding]:
    """One line a source. One that gives nobody leaves every question open that only it may answer."""
    for source in of_policy(facts.policy):
        check = f"source {source.key}"
        try:
            yield _found(facts, source, check)
        except (OutsideError, SettingsProblem) as problem:
            yield fail(check, f"it can't be read: {str(problem)[:200]}", MEND[source.kind])


def _found(facts: Facts, source: Source, check: str) -> Finding:
    if source.kind == "usergroup":
        users = facts.slack.user_group(source.name)
        with facts.database.reading() as session:
            bound = len(session.exec(select(Binding).where(col(Binding.user).in_(users))).all())
        if not bound:
            return warn(check, f"{len(users)} people, none of them bound", "Bind them: gatehouse people import.")
        return ok(check, f"{len(users)} people, {bound} of them bound")
    if source.kind == "group":
        groups = facts.organization.groups_by_name([source.name])
        found = [group for group in groups if group.name.casefold() == source.name.casefold()]
        if not found:
            return fail(check, "there is no such group", MEND["group"])
        members = len(list(islice(facts.organization.users_of_group(found[0].id), MOST)))
        return ok(check, f"{members} people") if members else warn(check, "nobody is in it", "Put somebody into it.")
    on_call = build_on_call(facts.settings, {one.name: described(one) for one in facts.policy.on_call})
    people = on_call.on_call(source.name, datetime.now(UTC))
    on_call.close()
    return ok(check, f"{len(people)} people now") if people else warn(check, "nobody is on call now", "Mend the rota.")


def of_policy(policy: Policy) -> list[Source]:
    rules = (*policy.entitlements, *policy.verbs.values())
    return list(dict.fromkeys(source for rule in rules for source in rule.looked_up))


SOURCES = (Check("sources of approvers", ("Slack", "the organization key", "the schema", "a policy"), sources),)
