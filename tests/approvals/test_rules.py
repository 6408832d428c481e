"""The words about who answers: each arrives in the policy, and each that could never work is refused with its line."""

import re
from datetime import timedelta

import pytest

from approvals.policy import Policy, PolicyProblem, Source, Stage
from tests.approvals.test_policy import GOOD, MEI, OMAR, TOMAS, entry, line_with

ORG, REASON, MANAGER = "[organization]\n", "[reason]\n", 'sources = ["file"]'
ROLE = '["role:security"]'
BY_ROLE = 'group = "by-role"\n'
TWO = f'approvers = [{entry(TOMAS)}, "role:security"]\n'

# what is written, what it becomes, where the line is, what is said, how it is mended
MISTAKES = [
    (ROLE, '["usergroup:security"]', "usergroup:security", "not the id of a Slack user group", "copy the id"),
    (ROLE, '["usergroup:S012"]', "usergroup:S012", "make themselves an approver", 'user_groups = "admins"'),
    (ROLE, '["group:"]', 'approvers = ["group:"]', "not the name of a group", "exactly as Atlassian"),
    (ROLE, '["group:By-Many"]', "group:By-Many", "the bot itself makes approvers", "no entitlement gives"),
    (ROLE, '["oncall:no name"]', "oncall:no name", "can't be the name of an on-call source", "[oncall.primary]"),
    (ROLE, '["oncall:primary"]', "oncall:primary", 'no on-call source "primary"', "[oncall.primary]"),
    (ROLE, '["oncal:primary"]', "oncal:primary", "is not a source", "oncall:…"),
    (BY_ROLE, BY_ROLE + "approvals = 0\n", "approvals = 0", "somebody must approve", "approvals = 1"),
    (BY_ROLE, BY_ROLE + "approvals = 10\n", "approvals = 10", "nobody would ever get", "from 1 to 9"),
    (BY_ROLE, BY_ROLE + "approvals = 2\n", "approvals = 2", "1 people may give one", "name more people"),
    (BY_ROLE + 'approvers = ["role:security"]', BY_ROLE + 'approvers = ["manager"]\napprovals = 2', "approvals = 2",
     "a person has one manager", "add another source"),
    (BY_ROLE + 'approvers = ["role:security"]', BY_ROLE + TWO + "approvals = 3\ndifferent_groups = true",
     "approvals = 3", "3 approvals from different groups are wanted, of 2", "name more sources"),
    (BY_ROLE, BY_ROLE + 'tier = "top"\n', 'tier = "top"', "there is no tier", '"low", "medium" or "high"'),
    (BY_ROLE, BY_ROLE + 'tier = "high"\napprovals = 1\n', "approvals = 1", "needs two approvals", "or two stages"),
    (BY_ROLE, BY_ROLE + 'stages = [{approvers = ["manager"]}]\n', 'approvers = ["role', "has stages", "leave appr"),
    (BY_ROLE + 'approvers = ["role:security"]', BY_ROLE + "stages = []", "stages = []", "nobody may approve", "add a"),
    (BY_ROLE + 'approvers = ["role:security"]', BY_ROLE + "stages = [{approvers = []}]", "", "nobody may approve", ""),
    (BY_ROLE + 'approvers = ["role:security"]', BY_ROLE + 'stages = [{approvers = ["role:auditor"]}]', "",
     "the role auditor has nobody", "add auditor"),
    (BY_ROLE, BY_ROLE + 'stages = [{approver = ["manager"]}]\n', "", "`approver` of", "did you mean `approvers`?"),
    (BY_ROLE, BY_ROLE + "escalation = [[]]\n", "", "nobody may approve", "approvers ="),
    (BY_ROLE, BY_ROLE + 'escalation = [["owner"]]\n', "", "it has none", "add owner"),
    (BY_ROLE, BY_ROLE + 'escalation = ["role:admin"]\n', "escalation = [", "must be a list", "escalation = [["),
    (BY_ROLE, BY_ROLE + 'escalate_after = "until revoked"\n', "escalate_after", "can't stay open", "24h"),
    (BY_ROLE, BY_ROLE + 'remind_after = "soon"\n', "remind_after", "not a duration", "like"),
    (BY_ROLE, BY_ROLE + 'pause = "until revoked"\n', "pause =", "can't stay open", "24h"),
    (BY_ROLE, BY_ROLE + 'ticket = "[A-Z"\n', "ticket =", "not a pattern that can be read", "[A-Z]+-[0-9]+"),
    (BY_ROLE, BY_ROLE + 'ticket = "(a+)+"\n', "ticket =", "can take for ever", "[A-Z]+-[0-9]+"),
    (BY_ROLE, BY_ROLE + 'ticket = ""\n', "ticket =", "empty or longer", "[A-Z]+-[0-9]+"),
    (BY_ROLE, BY_ROLE + 'instead = ["by-roll"]\n', "", "no other entitlement", "another one"),
    (BY_ROLE, BY_ROLE + 'instead = ["by-role"]\n', "", "no other entitlement", "another one"),
    (BY_ROLE, BY_ROLE + "break_glass = true\n", "break_glass = true", "no table [break_glass]", "add it"),
    (ORG, ORG + 'user_groups = "nobody"\n', "user_groups", "neither admins nor everyone", 'user_groups = "admins"'),
    (ORG, ORG + 'sso = "yes"\n', "sso =", "must be true or false", "sso = true"),
    (MANAGER, 'sources = ["slack_profile"]', "sources = [", "the profile field with the manager is not named", "Xf"),
    (MANAGER, 'sources = ["slack_profile"]\nfield = "Xf0A"', "sources = [", "write their own manager", "field_is ="),
    (MANAGER, 'sources = ["map"]', "sources = [", "map of managers is empty", "[manager.map]"),
    (MANAGER, 'sources = ["scim"]', "sources = [", "no manager source", "slack_profile"),
    (MANAGER, f'{MANAGER}\nfield = "manager"', "field =", "not the id of a profile field", "Xf0123ABCD"),
    (MANAGER, f'{MANAGER}\n[manager.map]\n"{MEI}" = "{MEI}"', f'"{MEI}" =', "nobody is their own manager", "another"),
    (REASON, "[oncall.primary]\n[reason]\n", "[oncall.primary]", "says nothing of where", "write one of"),
    (REASON, '[oncall.p]\njsm = "abc"\nfile = "x"\n[reason]\n', "[oncall.p]", "says jsm and file", "write one of"),
    (REASON, '[oncall.p]\njsm = "a b"\n[reason]\n', "jsm =", "not the id of a schedule", "copy it"),
    (REASON, "[break_glass]\nwho = []\n[reason]\n", "who = []", "nobody may break glass", "role:security"),
    (REASON, '[break_glass]\nwho = ["everyone"]\n[reason]\n', "who =", "everyone can't break glass", "name them"),
    (REASON, '[break_glass]\nwho = ["role:admin"]\non_call = "oncall:x"\n[reason]\n', "on_call", "no on-call", ""),
    (REASON, '[break_glass]\nwho = ["role:admin"]\nlongest = "5h"\n[reason]\n', 'longest = "5h"', "longer than", "60m"),
    (REASON, '[break_glass]\nwho = ["role:admin"]\ndrill = "x"\n[reason]\n', 'drill = "x"', "no entitlement that", ""),
    (REASON, '[break_glass]\nwho = ["usergroup:S0A12345"]\n[reason]\n', "who =", "make themselves one", "user_groups"),
    (REASON, '[break_glass]\nwho = ["oncall:nope"]\n[reason]\n', "who =", "no on-call source", "[oncall.nope]"),
    (REASON, '[break_glass]\nwho = ["owner"]\n[reason]\n', "who =", "has no owner", "name the people"),
    (REASON, '[break_glass]\nwho = ["role:auditor"]\n[reason]\n', "who =", "role auditor has nobody", "add auditor"),
    (REASON, '[break_glass]\nwho = ["group:by-role"]\n[reason]\n', "who =", "is given by", "another group"),
    (REASON, "[verbs.revok]\n[reason]\n", "[verbs.revok]", 'there is no verb "revok"', "[verbs.revoke]"),
    (REASON, "[verbs.suspend]\n[reason]\n", "[verbs.suspend]", "no private channel", "private ="),
    (REASON, '[verbs.email]\napprovers = ["role:admin"]\ntier = "low"\n[reason]\n', 'tier = "low"', "lower tier", ""),
    (REASON, '[verbs.email]\napprovers = ["role:security"]\n[reason]\n', "", "1 people may give one", "name more"),
    (REASON, "[ceilings]\nan_hour = 0\n[reason]\n", "an_hour", "no sensible limit", "from 1 on"),
    (REASON, "[ceilings]\na_day_percent = 101\n[reason]\n", "a_day_percent", "no percentage", "0 to 100"),
    (REASON, "[asking]\nopen_at_once = 0\n[reason]\n", "open_at_once", "no sensible limit", "from 1 on"),
    (REASON, "[asking]\nmany = 1\n[reason]\n", "many =", "`many` of asking is not known", "open_at_once"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "where", "what", "mend"), MISTAKES)
def test_a_rule_that_can_not_be_is_named_with_line_and_mend(
    before: str, after: str, where: str, what: str, mend: str
) -> None:
    assert before in GOOD
    broken = GOOD.replace(before, after, 1)
    with pytest.raises(PolicyProblem) as refused:
        Policy.parse(broken, "ours.toml")
    told = [sentence for sentence in refused.value.sentences if what in sentence]
    assert told, refused.value.sentences
    assert mend in told[0]
    if where:
        assert told[0].startswith(f"ours.toml, line {line_with(broken, where)}:"), told[0]
    assert re.match(r"ours\.toml, line [1-9][0-9]*: ", told[0])


def rule(more: str, *, instead_of: str = 'approvers = ["role:security"]\n') -> Policy:
    return Policy.parse(GOOD.replace(instead_of, more, 1))


def test_what_is_written_of_answers_arrives() -> None:
    policy = rule(
        'stages = [{approvers = ["manager"]}, {approvers = ["role:admin", "role:security"], approvals = 2, '
        'different_groups = true}]\nescalation = [["role:admin"]]\nescalate_after = "2h"\nremind_after = "1h"\n'
        'tier = "high"\npause = "7m"\ninstead = ["by-many"]\nticket = "[A-Z]+-[0-9]+"\n'
    )
    found = policy.entitlement("by-role")
    assert found is not None
    assert found.stages == (
        Stage((Source("manager"),), 1, False), Stage((Source("role", "admin"), Source("role", "security")), 2, True),
    )  # fmt: skip
    assert found.escalation == ((Source("role", "admin"),),)
    assert (found.escalate_after, found.remind_after) == (timedelta(hours=2), timedelta(hours=1))
    assert (found.tier, found.pause, found.approvals) == ("high", timedelta(minutes=7), 3)
    assert (found.instead, found.ticket) == (("by-many",), "[A-Z]+-[0-9]+")


def test_the_defaults_hold_where_a_rule_says_nothing() -> None:
    text = GOOD.replace("[defaults]\n", '[defaults]\napprovals = 2\nescalation = [["role:admin"]]\nticket = "x"\n', 1)
    text = text.replace('approvers = ["manager"]\nwho', 'approvers = ["manager", "role:admin"]\nwho', 1)
    text = re.sub(r'approvers = \["(owner|role:security)"\]|approvers = \[\{slack.*\]', "", text)
    found = Policy.parse(text).entitlement("eu-jira-admins")
    assert found is not None
    assert (found.approvals, found.ticket, len(found.escalation)) == (2, "x", 1)
    assert (found.tier, found.pause) == ("low", timedelta(0))


def test_high_is_two_and_five_minutes_unless_it_is_said_otherwise() -> None:
    found = rule(f'tier = "high"\napprovers = ["role:security", {entry(TOMAS)}]\n').entitlement("by-role")
    assert found is not None
    assert (found.approvals, found.pause) == (2, timedelta(minutes=5))


def test_the_road_of_admins_is_fixed() -> None:
    road = Policy.parse(GOOD).rule("revoke", "Org-Admin")
    assert road is not None
    assert (road.tier, road.approvals, road.approver_sources) == ("high", 2, (Source("role", "admin"),))


def test_a_verb_without_a_table_has_no_rule_and_a_revoke_has_the_owner_of_what_is_taken() -> None:
    assert Policy.parse(GOOD).rule("revoke", "by-owner") is None
    policy = Policy.parse(GOOD + '[verbs.revoke]\napprovers = ["owner", "role:admin"]\n')
    found = policy.rule("revoke", "by-owner")
    assert found is not None
    assert found.owner is not None
    assert (found.name, found.owner.account) == ("by-owner", MEI)
    assert policy.rule("deactivate") is None


def test_the_rest_of_the_file_arrives() -> None:
    managers = (
        f'sources = ["slack_profile", "map"]\nfield = "Xf0A"\nfield_is = "scim"\n[manager.map]\n"{MEI}" = "{OMAR}"'
    )
    text = GOOD.replace(ORG, ORG + 'user_groups = "admins"\nsso = true\n').replace(MANAGER, managers)
    text += '[oncall.primary]\nfile = "rota.toml"\n[oncall.other]\npagerduty_policy = "P123"\nlevels = 2\n'
    text += '[break_glass]\nwho = ["oncall:primary"]\non_call = "oncall:primary"\n[ceilings]\nan_hour = 3\n'
    policy = Policy.parse(text)
    assert (policy.sso, policy.manager_sources, policy.manager_field) == (True, ("slack_profile", "map"), "Xf0A")
    assert policy.manager_map[MEI] == OMAR
    assert [(one.name, one.kind, one.id, one.levels) for one in policy.on_call] == [
        ("primary", "file", "rota.toml", 1), ("other", "pagerduty_policy", "P123", 2),
    ]  # fmt: skip
    assert policy.break_glass is not None
    assert policy.break_glass.longest == timedelta(hours=1)
    assert (policy.ceilings.an_hour, policy.ceilings.a_day, policy.asking.open_at_once) == (3, 25, 20)
