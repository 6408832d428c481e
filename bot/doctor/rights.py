"""What the organization's key may do: one cheap read for each family of calls, none of them a write."""

from collections.abc import Callable, Iterator
from itertools import islice

from bot.atlassian.errors import AtlassianError, BadRequest, Forbidden, KeyRefused, NotFound
from bot.doctor.findings import Check, Facts, Finding, fail, ok, warn

NO_SCOPES = (
    "Use an organization API key without scopes: several calls that Gatehouse makes have no scope, "
    "so a key with scopes can't make them."
)
AGAIN = "Run the doctor again; if it stays so, look at https://status.atlassian.com."
NOBODY = "712020:00000000-0000-4000-8000-00000000dead"  # a well-formed id of nobody

Read = Callable[[Facts], object]
# Name, whether the main job needs it, and a read. The audit log is asked once: it allows ten questions a minute.
FAMILIES: tuple[tuple[str, bool, Read], ...] = (
    ("people", True, lambda f: f.organization.users_by_account([NOBODY])),
    ("groups", True, lambda f: f.organization.groups_by_name(["-"])),
    ("SCIM links", True, lambda f: f.organization.scim_links(_somebody(f))),
    ("roles", False, lambda f: f.organization.user_roles(_somebody(f))),
    ("directories", False, lambda f: f.organization.directories()),
    ("domains", False, lambda f: f.organization.domains()),
    ("workspaces", False, lambda f: f.organization.workspaces()),
    ("managed accounts", False, lambda f: f.accounts.privileges(_somebody(f))),
    ("API tokens", False, lambda f: f.accounts.api_tokens(_somebody(f))),
    ("audit log", False, lambda f: f.organization.events_stream(limit=1)),
)


def rights(facts: Facts) -> Iterator[Finding]:
    works = []
    for name, needed, read in FAMILIES:
        check = f"right: {name}"
        try:
            read(facts)
        except (KeyRefused, Forbidden) as error:
            how = fail if needed else warn
            yield how(check, f"the key may not ({error.status}, {error.code or 'no code'})", NO_SCOPES)
        except (NotFound, BadRequest) as error:
            yield warn(check, f"it answers, but not about this organization ({error.status})", NO_SCOPES)
        except AtlassianError as error:
            yield (fail if needed else warn)(check, str(error), AGAIN)
        else:
            works.append(name)
    if len(works) == len(FAMILIES):
        yield ok("rights of the key", f"it reads {', '.join(works)}")
    elif works:
        yield warn("rights of the key", f"it reads only {', '.join(works)}", NO_SCOPES)


def _somebody(facts: Facts) -> str:
    """Somebody there certainly is: the first admin of the policy, or whoever is listed first."""
    if "a policy" in facts.have:
        return facts.policy.roles["admin"][0].account
    return next((person.account_id for person in islice(facts.organization.users(), 1)), NOBODY)


RIGHTS = (Check("rights of the key", ("the organization key",), rights),)
