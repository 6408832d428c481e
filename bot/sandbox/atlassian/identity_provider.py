"""The identity provider behind the fed directory: what it thinks of people and groups, it writes again at each sync."""

from collections.abc import Iterable
from dataclasses import replace

from bot.sandbox import seed
from bot.sandbox.atlassian.scim_users import account_for, carry_over
from bot.sandbox.atlassian.state import Group, Sandbox, ScimUser


def resync(sandbox: Sandbox, directory: seed.ScimDirectory = seed.FED) -> None:
    """Undo what others changed in the directory since. Records that the provider never had it leaves alone."""
    ids = {user.id: _restored(sandbox, user) for user in _of(sandbox.source.scim_users.values(), directory)}
    for wanted in list(sandbox.source.groups.values()):
        if wanted.directory == directory.id and wanted.id in sandbox.records.groups:
            sandbox.set_members(sandbox.records.groups[wanted.id], (ids[member] for member in wanted.members))


def teach(sandbox: Sandbox, group: Group) -> None:
    """An administrator changed a synced group in the provider's own console: from now on that is what it wants.

    The provider knows people by the records it made first, whatever became of them here.
    """
    known = {_name(user): user.id for user in sandbox.source.scim_users.values() if user.directory == group.directory}
    names = (_name(sandbox.records.scim_users[member]) for member in group.members)
    if group.id in sandbox.source.groups:
        members = tuple(known[name] for name in names if name in known)
        sandbox.source.groups[group.id] = replace(sandbox.source.groups[group.id], members=members)


def _restored(sandbox: Sandbox, wanted: ScimUser) -> str:
    """The id of the record as the provider wants it; a deleted one comes back under a new id."""
    present = sandbox.records.scim_users
    namesake = (
        user for user in present.values() if user.directory == wanted.directory and _name(user) == _name(wanted)
    )
    user = present.get(wanted.id) or next(namesake, None)
    now = sandbox.now()
    if user is None:
        user = replace(wanted, id=sandbox.new_id(), account=None, created=now)
    if user.account is None:
        account = account_for(sandbox, wanted.attributes)
        sandbox.save(account)
        user = replace(user, account=account.id)
    wish = replace(user, attributes=wanted.attributes, active=wanted.active, hidden=False)
    if wish != present.get(wish.id) or sandbox.is_active(wish) != wanted.active:
        sandbox.save(replace(wish, modified=now))
        carry_over(sandbox, sandbox.records.scim_users[wish.id])
    return wish.id


def _of(users: Iterable[ScimUser], directory: seed.ScimDirectory) -> list[ScimUser]:
    return [user for user in users if user.directory == directory.id]


def _name(user: ScimUser) -> str:
    return str(user.attributes["userName"]).casefold()
