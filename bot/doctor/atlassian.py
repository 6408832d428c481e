"""What the doctor asks Atlassian: the organization's key, the keys of our SCIM directories, the groups."""

from collections.abc import Iterator

from pydantic import SecretStr

from approvals.policy import ScimDirectory
from approvals.ports import Impossible
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.errors import AtlassianError, Forbidden, KeyRefused, NotFound
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.transport import organization_transport, scim_transport
from bot.clients import Clients
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.key_slots import organization_slots, scim_slots
from bot.settings import NEXT, Settings
from bot.surroundings import SettingsProblem

NEXT_ORG_KEY = "organization key, the next one"
ORG_KEY = "Create an API key without scopes at https://admin.atlassian.com under Settings, API keys, and set {name}."
SCIM_KEY = "Regenerate it under Security, Identity providers, and set {name}; the old key stops at once."
REACH = "This machine must reach Atlassian over HTTPS; try again when it does."


def organization(facts: Facts) -> Iterator[Finding]:
    """One organization a key, and the next key of the same one. The checks go on with the first of them that works."""
    settings = facts.settings
    slots = organization_slots(settings)
    names = (slots.setting, f"{slots.setting}{NEXT}")
    for key, check, name in zip(slots.all, ("organization key", NEXT_ORG_KEY), names, strict=False):
        transport = organization_transport(settings.atlassian_api_url, key)
        client = OrganizationClient(transport, settings.atlassian_org_id)
        facts.closing.callback(client.close)
        finding = _organization(client, settings, check, name)
        if finding.state == "ok" and "the organization key" not in facts.have:
            facts.organization, facts.accounts = client, AccountsClient(transport)
            facts.have.add("the organization key")
        yield finding


def _organization(client: OrganizationClient, settings: Settings, check: str, setting: str) -> Finding:
    """A key with scopes is refused by this very call, which names none. ``setting`` is where this key stands."""
    try:
        known = {org.id: org.name for org in client.organizations()}
        if settings.atlassian_org_id not in known:
            mend = "Correct ATLASSIAN_ORG_ID, or create the key in the organization you mean."
            return fail(check, f"it is of organization {', '.join(known) or 'none'}, not of ours", mend)
        directories = client.directories()
    except AtlassianError as error:
        mend = ORG_KEY.format(name=setting) if isinstance(error, KeyRefused | Forbidden) else REACH
        return fail(check, str(error), mend)
    name = known[settings.atlassian_org_id]
    return ok(check, f"organization {name}, directories: {len(directories)}")


def directories(facts: Facts) -> Iterator[Finding]:
    """Each SCIM directory of ours with its own key. One fed by an identity provider has none here, rightly."""
    settings, policy = facts.settings, facts.policy
    for directory in policy.directories:
        if directory.owner == "ours" or directory.take_away:
            yield from _directory(facts, directory)
        else:
            yield ok(
                f"directory {directory.name}", "fed by an identity provider: Gatehouse has no key and no business there"
            )
    ours = [directory for directory in policy.directories if directory.owner == "ours"]
    if not ours:
        mend = 'Make a SCIM directory of Gatehouse\'s own, and name it in the policy with owner = "ours".'
        yield warn("directories", "none is ours, so only groups that no directory feeds can be given", mend)
    mentioned = settings.atlassian_scim_directory_id
    if mentioned and policy.directory(mentioned) is None:
        mend = "Name it in the policy under [directories], or correct ATLASSIAN_SCIM_DIRECTORY_ID."
        yield fail("directories", f"{mentioned} of the settings is not in the policy", mend)
    if {directory.id for directory in ours} <= set(facts.ours):
        facts.have.add("the directories")


def groups(facts: Facts) -> Iterator[Finding]:
    """Each entitlement's group is there and ours to write; otherwise the refusal a request would get."""
    clients = Clients(facts.organization, facts.accounts, facts.ours)
    directory = AtlassianDirectory(clients, facts.policy)
    given = 0
    for entitlement in (one for one in facts.policy.entitlements if one.kind == "group"):
        check = f"group of {entitlement.name}"
        try:
            directory.road_to(entitlement, giving=not entitlement.removal_only)
        except Impossible as impossible:
            yield fail(check, str(impossible), "Mend the group in Atlassian, or the entitlement in the policy.")
        except AtlassianError as error:
            yield fail(check, str(error), REACH if error.retry else ORG_KEY.format(name="ATLASSIAN_ORG_API_KEY"))
        else:
            given += 1
    if given:
        every = sum(one.kind == "group" for one in facts.policy.entitlements)
        yield ok("groups", f"{given} of {every} entitlements can be given")


def _directory(facts: Facts, directory: ScimDirectory) -> Iterator[Finding]:
    """Both of its keys; the checks go on with the first that works."""
    check = f"directory {directory.name}"
    try:
        slots = scim_slots(facts.settings, directory)
    except SettingsProblem as problem:
        yield fail(check, "it has no key", problem.sentences[0])
        return
    for key, which in zip(slots.all, (check, f"{check}, the next key"), strict=False):
        yield _scim_key(facts, directory, key, which, slots.setting if which == check else f"{slots.setting}{NEXT}")


def _scim_key(facts: Facts, directory: ScimDirectory, key: SecretStr, check: str, name: str) -> Finding:
    try:
        transport = scim_transport(facts.settings.atlassian_api_url, key, name=f"SCIM directory {directory.name}")
    except ValueError:  # an empty key
        return fail(check, f"{name} is empty", SCIM_KEY.format(name=name))
    client = ScimClient(transport, directory.id)
    facts.closing.callback(client.close)
    try:
        client.service_provider_config()
    except KeyRefused as error:
        return fail(check, f"the key was refused: expired, regenerated, or of another directory ({error.status})",
                    SCIM_KEY.format(name=name))  # fmt: skip
    except NotFound:
        mend = "Copy the id from the directory's base URL, after /scim/directory/, into policy and settings."
        return fail(check, f"there is no SCIM directory {directory.id}", mend)
    except AtlassianError as error:
        return fail(check, str(error), REACH)
    facts.ours.setdefault(directory.id, client)
    whose = "ours" if directory.owner == "ours" else "fed by an identity provider, and we may take away there"
    return ok(check, f"{whose}, the key works ({directory.id})")


ATLASSIAN = (
    Check("organization key", ("the settings of Atlassian",), organization),
    Check("directories", ("some settings", "a policy"), directories),
    Check("groups", ("the organization key", "the directories"), groups),
)
