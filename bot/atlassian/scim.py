"""One SCIM directory: the users and groups that Atlassian takes from us.

Deactivation is PATCH, for DELETE removes the record for good (``scim_delete`` has it, apart from everything else);
PUT clears what is not sent; a ``remove`` on bare ``members`` empties a group. None of the three can be expressed here.
"""

from bot.atlassian.limits import GroupLimits
from bot.atlassian.scim_groups import ScimGroups
from bot.atlassian.scim_users import ScimUsers

MAX_MEMBERS = GroupLimits.members_per_call


class ScimClient(ScimUsers, ScimGroups):
    """Calls to one directory, with its own key.

    Every method may raise ``Unreachable``, ``RateLimited``, ``Unavailable``, ``Unreadable``, ``KeyRefused`` and
    ``Forbidden``; what else it may raise, it says. Contract: https://developer.atlassian.com/cloud/admin/user-provisioning/rest/intro/
    """
