"""Somebody leaves: deactivated, or suspended where the account is not ours, and out of what only the site knows."""

from approvals.plan import Step, Survey
from approvals.ports import Impossible
from bot.atlassian.errors import NotFound
from bot.atlassian.plans.lookups import Lookups, named
from bot.atlassian.plans.standing import Standing, step_about
from bot.atlassian.shapes import OrgUser

SUSPENDED_INSTEAD = (
    "{name} is not managed by the organization, so the account is suspended here instead of deactivated: it loses all "
    "access to this organization, and the Atlassian account lives on."
)
SITE_UNKNOWN = "Gatehouse has no access to the Jira site, so groups that only the site knows are not looked at."


class Leaving:
    """Plans an offboarding. Grants and open requests are the record's, and are ended by whoever begins the deed."""

    def __init__(self, lookups: Lookups, standing: Standing) -> None:
        self.lookups = lookups
        self.standing = standing

    def plan(self, account: str) -> Survey:
        """``holds`` says that the account is out already and in no group of the site."""
        person = self.lookups.person_now(account)
        if person.claim_status == "unmanaged":
            out = self.standing.suspend(account)
            warnings = [SUSPENDED_INSTEAD.format(name=named(person))]
        else:
            out = self.standing.deactivate(account)
            warnings = list(out.warnings)
        at_site = self._memberships_at_the_site(person)
        if self.lookups.site is None:
            warnings.append(SITE_UNKNOWN)
        steps = (*out.steps, *at_site)
        return out.model_copy(update={"steps": steps, "holds": out.holds and not at_site, "warnings": tuple(warnings)})

    def _memberships_at_the_site(self, person: OrgUser) -> list[Step]:
        """Of groups that the organization does not know: nothing else would ever take them away."""
        site = self.lookups.site
        if site is None:
            return []
        try:
            held = site.groups_of(person.account_id)
        except NotFound as missing:
            if not missing.by_api:
                raise
            return []
        known = {group.id for group in self.lookups.organization.groups_of_account(person.account_id)}
        steps = []
        for group in held:
            if group.group_id is None:
                raise Impossible(f"The Jira site does not tell the id of the group {group.name}.")
            if group.group_id not in known:
                words = f"take {named(person)} out of the group {group.name}, which only the Jira site knows"
                steps.append(
                    step_about(
                        person, "remove_member", "site", "Jira site (legacy)", "DELETE", "/rest/api/3/group/user",
                        words, target=group.group_id, target_name=group.name or group.group_id,
                    )
                )  # fmt: skip
        return steps
