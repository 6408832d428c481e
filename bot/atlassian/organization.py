"""The Organizations API: who and what is there, who owns it, who holds what, and how that is changed.

No method deletes a group, a SCIM record or all the tokens of the organization: there is none to call by mistake.
"""

from bot.atlassian.org_about import OrgAbout
from bot.atlassian.org_calls import ALL
from bot.atlassian.org_events import OrgEvents
from bot.atlassian.org_groups import OrgGroups
from bot.atlassian.org_links import OrgLinks
from bot.atlassian.org_people import OrgPeople
from bot.atlassian.org_roles import OrgRoles
from bot.atlassian.org_users import OrgUsers

__all__ = ["ALL", "OrganizationClient"]


class OrganizationClient(OrgAbout, OrgUsers, OrgPeople, OrgRoles, OrgGroups, OrgEvents, OrgLinks):
    """Calls with the organization API key. ``directory`` is an Organizations directory id: ``ALL`` unless given for
    reads, always to be named for writes.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused`` (also for
    a key with scopes that lacks one), ``Forbidden``, ``BadRequest`` and ``NotFound``; what else it may raise, it says.
    Contract: https://developer.atlassian.com/cloud/admin/organization/rest/intro/
    """
