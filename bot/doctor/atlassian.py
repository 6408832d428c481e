"""What the doctor asks Atlassian: the organization's key, the keys of our SCIM directories, the groups."""

from collections.abc import Iterator

from approvals.policy import ScimDirectory
from approvals.ports import Impossible
from bot.atlassian.accounts import AccountsClient
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.errors import AtlassianError, Forbidden, KeyRefused, NotFound
from bot.atlassian.organization import OrganizationClient
from bot.atlassian.scim import ScimClient
from bot.atlassian.transport import organization_transport, scim_transport
from bot.clients import Clients, key_of
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn
from bot.surroundings import SettingsProblem

ORG_KEY = (
    "Create an API key without scopes at https://admin.atlassian.com under Settings, API keys, "
    "and set ATLASSIAN_ORG_API_KEY."
)
SCIM_KEY = "Regenerate it under Security, Identity providers, and set {name}; the old key stops at once."
REACH = "This machine must reach Atlassian over HTTPS; try again when it does."


def organization(facts: Facts) -> Iterator[Finding]:
    """One organization a key. A key with scopes is refused by this very call, which names none."""
    settings = facts.settings
    transport = organization_transport(settings.atlassian_api_url, settings.atlassian_org_api_key)
    client = OrganizationClient(transport, settings.atlassian_org_id)
    facts.closing.callback(client.close)
    try:
        known = {org.id: org.name for org in client.organizations()}
        if settings.atlassian_org_id not in known:
            mend = "Correct ATLASSIAN_ORG_ID, or create the key in the organization you mean."
            yield fail("organization key", f"it is of organization {', '.join(known) or 'none'}, not of ours", mend)
            return
        directories = client.directories()
    except AtlassianError as error:
        mend = ORG_KEY if isinstance(error, KeyRefused | Forbidden) else REACH
        yield fail("organization key", str(error), mend)
        return
    facts.organization, facts.accounts = client, AccountsClient(transport)
    facts.have.add("the organization key")
    name = known[settings.atlassian_org_id]
    yield ok("organization key", f"organization {name}, directories: {len(directories)}")


def directories(facts: Facts) -> Iterator[Finding]:
    """Each SCIM directory of ours with its own key. One fed by an identity provider has none here, rightly."""
    settings, policy = facts.settings, facts.policy
    for directory in policy.directories:
        if directory.owner == "ours" or directory.take_away:
            yield _directory(facts, directory)
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
            yield fail(check, str(error), REACH if error.retry else ORG_KEY)
        else:
            given += 1
    if given:
        every = sum(one.kind == "group" for one in facts.policy.entitlements)
        yield ok("groups", f"{given} of {every} entitlements can be given")


def _directory(facts: Facts, directory: ScimDirectory) -> Finding:
    check, name = f"directory {directory.name}", directory.key or "its key"
    try:
        key = key_of(facts.settings, directory)
        transport = scim_transport(facts.settings.atlassian_api_url, key, name=f"SCIM directory {directory.name}")
    except SettingsProblem as problem:
        return fail(check, "it has no key", problem.sentences[0])
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
    facts.ours[directory.id] = client
    whose = "ours" if directory.owner == "ours" else "fed by an identity provider, and we may take away there"
    return ok(check, f"{whose}, the key works ({directory.id})")


ATLASSIAN = (
    Check("organization key", ("the settings of Atlassian",), organization),
    Check("directories", ("some settings", "a policy"), directories),
    Check("groups", ("the organization key", "the directories"), groups),
)
