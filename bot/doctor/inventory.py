"""What the organization has, against what the policy says: domains, SCIM directories, protected accounts, the site."""

from collections.abc import Iterator

from approvals.policy import Protected
from approvals.rules.parts import Entitlement
from bot.atlassian.emergency import look
from bot.atlassian.errors import AtlassianError
from bot.atlassian.org_roles import ORG_ADMIN
from bot.atlassian.shapes import OrgUser
from bot.atlassian.site import SiteClient
from bot.atlassian.transport import site_transport
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.key_slots import site_slots
from bot.settings import NEXT

VERIFY = "Verify the domain under Settings, Domains: accounts on other domains are not managed by the organization."
ENOUGH = 2  # emergency administrators
LOOK = "Run the doctor again; if it stays so, look at what the right of that name says above."


def domains(facts: Facts) -> Iterator[Finding]:
    try:
        found = facts.organization.domains()
    except AtlassianError as error:
        yield warn("domains", f"they can't be read: {error}", LOOK)
        return
    verified = sorted(domain.name for domain in found if domain.verified)
    others = sorted(domain.name for domain in found if not domain.verified)
    if not verified:
        yield warn("domains", "none is verified, so no account is managed", VERIFY)
    else:
        also = f"; not verified, so not ours: {', '.join(others)}" if others else ""
        yield ok("domains", f"verified: {', '.join(verified)}{also}")


def scim_directories(facts: Facts) -> Iterator[Finding]:
    """Those that have records of the policy's people; the organization lists them nowhere."""
    seen: set[str] = set()
    people = {person.account for listed in facts.policy.roles.values() for person in listed}
    for account in sorted(people):
        try:
            seen |= {link.directory_id for link in facts.organization.scim_links(account)}
        except AtlassianError as error:
            yield warn("SCIM directories", f"they can't be read: {error}", LOOK)
            return
    unnamed = sorted(id for id in seen if facts.policy.directory(id) is None)
    for id in unnamed:
        mend = 'Name it in the policy under [directories], with owner = "ours" or "fed".'
        yield warn(
            "SCIM directories", f"{id} has records of your people and is not in the policy: it counts as fed", mend
        )
    if not unnamed:
        named = ", ".join(f"{d.name} ({d.owner})" for d in facts.policy.directories) or "none"
        yield ok("SCIM directories", f"in the policy: {named}; {len(seen)} of them have records of its people")


def protected(facts: Facts) -> Iterator[Finding]:
    listed = facts.policy.protected
    if not listed:
        mend = "List the emergency administrator outside your domains under [[protected]] in the policy."
        yield warn("protected accounts", "the policy lists none, so no account is safe from an approved request", mend)
        return
    listed = tuple(one for one in listed if not one.emergency)  # those have a look of their own
    accounts = [one.account for one in listed]
    try:
        found = facts.organization.users_by_account(accounts, expand=("platformRoles",))
        linked = {account for account in accounts if facts.organization.scim_links(account)}
    except AtlassianError as error:
        yield warn("protected accounts", f"they can't be read: {error}", LOOK)
        return
    people = {person.account_id: person for person in found}
    for one in listed:
        yield _protected(one, people.get(one.account), one.account in linked)


def _protected(one: Protected, person: OrgUser | None, linked: bool) -> Finding:
    check = f"protected {one.why}"
    if person is None:
        return fail(check, f"the organization has no account {one.account}", "Correct it in the policy.")
    who = f"{person.name or one.account} is {person.account_status or 'of unknown status'}"
    who += ", an organization administrator" if ORG_ADMIN in (person.platform_roles or []) else ""
    if person.account_status != "active":
        return warn(check, who, "Reactivate it, or name another account: in an emergency this one helps nobody.")
    if linked:
        mend = "Let an account outside every directory be the emergency account: who runs the directory runs this one."
        return warn(check, f"{who}, and a SCIM directory runs it", mend)
    return ok(check, who)


def emergency(facts: Facts) -> Iterator[Finding]:
    """What the daily watch sees as well; and whether there are two, so that one lost key locks nobody out."""
    check, listed = "emergency administrators", facts.policy.emergency_admins
    try:
        found = look(facts.organization, facts.accounts, listed)
    except AtlassianError as error:
        yield warn(check, f"they can't be read: {error}", LOOK)
        return
    if len(found) < ENOUGH:
        many = "one is" if found else "none is"
        mend = f"List {ENOUGH} under [[protected]] with emergency = true: one lost key must not lock everybody out."
        yield warn(check, f"{many} listed with emergency = true", mend)
    for admin in found:
        if admin.troubles:
            seen = f"{admin.name}: {'; '.join(trouble.found for trouble in admin.troubles)}"
            yield fail(f"emergency {admin.account}", seen, f"{'. '.join(trouble.mend for trouble in admin.troubles)}.")
        else:
            yield ok(
                f"emergency {admin.account}", f"{admin.name} is active, an organization admin, and run by no directory"
            )


def site(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    if not settings.atlassian_site_url:
        facts.site = None
        yield ok("Jira site", "not set: groups that only a site knows can't be given")
        return
    slots = site_slots(settings)
    transports = [site_transport(settings.atlassian_site_url, settings.atlassian_site_email, key) for key in slots.all]
    clients = [SiteClient(transport) for transport in transports]
    facts.site = clients[0]
    names = (("Jira site", slots.setting), ("Jira site, the next token", f"{slots.setting}{NEXT}"))
    for client, (check, name) in reversed(list(zip(clients, names, strict=False))):
        facts.closing.callback(client.close)
        try:
            client.find_group("-")
        except AtlassianError as error:
            mend = f"Set ATLASSIAN_SITE_EMAIL and a new {name} of that person."
            yield fail(check, str(error), mend)
        else:
            facts.site = client  # the first that works, for the checks after this one
            yield ok(check, f"{settings.atlassian_site_url} answers to {settings.atlassian_site_email}")


def beyond_groups(facts: Facts) -> Iterator[Finding]:
    """Roles and groups of the site that the policy gives: whether there are such things."""
    workspaces: set[str] | None = None
    for entitlement in facts.policy.entitlements:
        if entitlement.kind == "role":
            workspaces = workspaces if workspaces is not None else {w.id for w in facts.organization.workspaces()}
            yield _role(entitlement, workspaces)
        elif entitlement.kind == "jira_group":
            yield _site_group(facts, entitlement)


def _role(entitlement: Entitlement, workspaces: set[str]) -> Finding:
    check = f"role of {entitlement.name}"
    if entitlement.resource in workspaces:
        return ok(check, f"{entitlement.role} on {entitlement.resource}")
    mend = f"Copy the id of the workspace into the policy; there are: {', '.join(sorted(workspaces)) or 'none'}."
    return fail(check, f"the organization has no workspace {entitlement.resource}", mend)


def _site_group(facts: Facts, entitlement: Entitlement) -> Finding:
    check = f"group of {entitlement.name}"
    if facts.site is None:
        return fail(
            check, "it is one of a Jira site, and none is set", "Set ATLASSIAN_SITE_URL, _EMAIL and _API_TOKEN."
        )
    if facts.site.find_group(entitlement.group) is None:
        return fail(check, f"the site has no group named {entitlement.group}", "Mend its name in the policy.")
    return ok(check, "the site has it; it goes by a legacy path")


INVENTORY = (
    Check("domains", ("the organization key",), domains),
    Check("SCIM directories", ("the organization key", "a policy"), scim_directories),
    Check("protected accounts", ("the organization key", "a policy"), protected),
    Check("emergency administrators", ("the organization key", "a policy"), emergency),
    Check("Jira site", ("some settings",), site),
    Check("roles and groups of the site", ("the organization key", "a policy"), beyond_groups),
)
