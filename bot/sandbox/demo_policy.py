"""The policy of the seeded company, as its admins would write it; the demo and the tests apply it."""

from bot.sandbox.seed import EMERGENCY, FED, ORG_NAME, OURS, SITE_CLOUD_ID, SLACK_TEAM, company


def demo_policy() -> str:
    """The TOML text, the same every time."""
    return f"""\
# The policy of {ORG_NAME}, a company that does not exist.

[organization]
name = "{ORG_NAME}"

[channels]
requests = "{company().channel("access-requests").id}"
operators = "{company().channel("gatehouse-operators").id}"
security = "{company().channel("security").id}"
private = "{company().channel("security").id}"

[roles]
admin = [{_person("omar")}, {_person("ingrid")}]
security = [{_person("sade")}]
helpdesk = [{_person("kofi")}]

[[protected]]
account = "{company().person(EMERGENCY).account_id}"
why = "emergency administrator"
emergency = true

[directories.gatehouse]
id = "{OURS.id}"
owner = "ours"
key = "ATLASSIAN_SCIM_API_KEY"

[directories.identity-provider]
id = "{FED.id}"
owner = "fed"

[defaults]
longest = "8h"
lifetime = "24h"
approvers = ["manager"]
who_may_ask = ["everyone"]
ask_for_others = ["manager", "role:helpdesk"]

[reason]
required = true
at_least = 10

[manager]
sources = ["file"]

[break_glass]
who = [{_person("tomas")}, {_person("mei")}, {_person("nadia")}]
longest = "60m"
incident = "INC-[0-9]+"
drill = "breakglass-drill"

[verbs.revoke]
approvers = ["manager", "owner", "role:admin"]
ask_for_others = ["manager", "owner", "role:admin", "role:security", "role:helpdesk"]

[verbs.deactivate]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]
approvers = ["manager", "role:admin", "role:security"]

[verbs.reactivate]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]
approvers = ["manager", "role:admin", "role:security"]

[verbs.suspend]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]
approvers = ["role:admin", "role:security"]
tier = "medium"

[verbs.restore]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]
approvers = ["role:admin", "role:security"]
tier = "medium"

[verbs.offboard]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security", "role:helpdesk"]
approvers = ["manager", "role:admin", "role:security"]

[verbs.tokens]
who_may_ask = []
ask_for_others = ["manager", "role:admin", "role:security"]
approvers = ["role:admin", "role:security"]

[verbs.email]
ask_for_others = ["manager", "role:admin", "role:helpdesk"]
approvers = ["manager", "role:admin"]

[verbs.provision]
who_may_ask = []
ask_for_others = ["everyone"]
approvers = ["role:admin"]

[verbs.bulk]
who_may_ask = ["role:helpdesk", "role:admin"]
approvers = ["role:admin", "role:security"]

[entitlements.eu-jira-admins]
about = "Administer Jira in the EU site"
group = "eu-jira-admins"
longest = "8h"
listed = true
break_glass = true

[entitlements.eu-confluence-admins]
about = "Administer Confluence in the EU site"
group = "eu-confluence-admins"
owner = {_person("mei")}
approvers = ["manager", "owner"]
longest = "30d"
listed = true

[entitlements.breakglass-drill]
about = "A group that opens nothing, to practise with"
group = "breakglass-drill"
owner = {_person("omar")}
approvers = ["owner"]
longest = "until revoked"

[entitlements.jira-basic]
about = "Look at Jira without editing: a role on the site"
role = {{name = "atlassian/basic", resource = "ari:cloud:jira-software::site/{SITE_CLOUD_ID}"}}
longest = "90d"

[entitlements.release-managers]
about = "Release versions; the group is local, not synced"
group = "release-managers"
longest = "8h"
"""


def _person(handle: str) -> str:
    person = company().person(handle)
    return f'{{slack = "{SLACK_TEAM}/{person.slack_id}", account = "{person.account_id}"}}'
