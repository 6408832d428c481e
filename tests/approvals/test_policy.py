"""The policy: what it refuses to be, whom it lets ask, and whom it lets answer."""

import re
import tomllib
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import authority
from approvals.authority import Approvers, Case, Facts
from approvals.policy import (
    Entitlement,
    Person,
    Policy,
    PolicyProblem,
    Verdict,
    is_default_group,
    parse_duration,
    say_duration,
    write_duration,
)
from approvals.rules.lines import Lines
from bot.sandbox.demo_policy import demo_policy
from bot.sandbox.seed import SLACK_TEAM, company

TEAM = "T0HARBOUR"
ADA, GRACE, MEI, OMAR, INGRID, SADE, KOFI, TOMAS = (
    f"712020:{name}" for name in ("ada", "grace", "mei", "omar", "ingrid", "sade", "kofi", "tomas")
)
EVERYBODY = (ADA, GRACE, MEI, OMAR, INGRID, SADE, KOFI, TOMAS)
REASON = "the Jira upgrade tonight"
HOUR = timedelta(hours=1)


def entry(account: str) -> str:
    return f'{{slack = "{TEAM}/U0{account[7:].upper()}", account = "{account}"}}'


ROLE = '{name = "atlassian/user", resource = "ari:cloud:jira-software::site/1"}'
PROTECTED = '[[protected]]\naccount = "712020:emergency"\nwhy = "for emergencies"\n'
GOOD = f"""\
[organization]
name = "Harbour Works"
[channels]
requests = "C0ACCESS01"
operators = "G0OPERATE1"
security = "G0SECURE01"
[roles]
admin = [
  {entry(OMAR)},
  {entry(INGRID)},
]
security = [{entry(SADE)}]
helpdesk = [{entry(KOFI)}]
[directories.ours]
id = "0b1d7a52-6c38-4b57"
owner = "ours"
key = "SCIM_KEY_OURS"
[directories.fed]
id = "9e2c4f81-7d45-4c66"
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
[entitlements.eu-jira-admins]
about = "Administer Jira in the EU"
group = "eu-jira-admins"
[entitlements.by-owner]
about = "Answered by its owner"
group = "by-owner"
owner = {entry(MEI)}
approvers = ["owner"]
longest = "until revoked"
[entitlements.by-role]
about = "Answered by a role"
group = "by-role"
approvers = ["role:security"]
lifetime = "2h"
channel = "C0SPECIAL1"
[entitlements.by-person]
about = "Answered by one person"
group = "by-person"
approvers = [{entry(TOMAS)}]
[entitlements.by-many]
about = "Answered by many"
group = "by-many"
owner = {entry(MEI)}
approvers = ["manager", "owner", "role:admin", {entry(TOMAS)}]
[entitlements.for-few]
about = "Asked for by few"
group = "for-few"
who_may_ask = ["role:security", "account:{MEI}", "user:{TEAM}/U0TOMAS", {entry(INGRID)}]
ask_for_others = []
"""


def case(policy: Policy, entitlement: Entitlement, requester: str, subject: str, manager: str | None) -> Case:
    return Case(policy, entitlement, "grant", requester, subject, Facts(manager))


def may_ask(
    policy: Policy, entitlement: Entitlement, requester: Person, subject: str, manager: str | None,
    duration: timedelta | None, reason: str | None,
) -> Verdict:  # fmt: skip
    return authority.may_ask(
        case(policy, entitlement, requester.account, subject, manager), requester, duration, reason
    )


def may_request(
    policy: Policy, entitlement: Entitlement, requester: Person, subject: str, manager: str | None
) -> Verdict:  # fmt: skip
    return authority.may_request(case(policy, entitlement, requester.account, subject, manager), requester)


def approvers(policy: Policy, entitlement: Entitlement, requester: str, subject: str, manager: str | None) -> Approvers:
    return case(policy, entitlement, requester, subject, manager).approvers


def may_decide(
    policy: Policy, entitlement: Entitlement, requester: str, subject: str, manager: str | None, approver: str
) -> Verdict:  # fmt: skip
    return authority.may_approve(case(policy, entitlement, requester, subject, manager), approver)


# what is written, what it becomes, where the line is, what is said, how it is mended
MISTAKES = [
    ("[organization]", "[organization", "[organization", "not TOML", "check quotes"),
    ('name = "Harbour Works"', "", "[organization]", "`name` of organization is missing", 'add name = "Harbour Works"'),
    ('"Harbour Works"', "7", "name = 7", "must be text in quotes", 'write name = "Harbour Works"'),
    ('"Harbour Works"', '" "', 'name = " "', "empty", "write one short line"),
    ("[organization]", "[organisation]", "[organisation]", "`organisation` is not known", "`organization`?"),
    ("[channels]", "colour = 1\n[channels]", "colour = 1", "`colour` of organization is not known", "known here: name"),
    ('operators = "G0OPERATE1"', "", "[channels]", "`operators` of channels is missing", "add operators ="),
    ('"C0ACCESS01"', '"#access"', 'requests = "#access"', "not a Slack channel id", "copy the id"),
    (f"  {entry(INGRID)},\n", "", "admin = [", "at least two different admins", "add another"),
    (f"  {entry(INGRID)},", f"  {entry(OMAR)},", "admin = [", "at least two different admins", "add another"),
    (entry(KOFI), '{slack = "T0A1/U0KOFI"}', "helpdesk =", "of roles.helpdesk entry 1 is missing", "add account"),
    (entry(KOFI), entry(KOFI).replace("U0KOFI", "kofi"), "helpdesk =", "not a workspace and", "write both ids"),
    (entry(KOFI), entry(KOFI).replace(KOFI, "kofi@x.example"), "helpdesk =", "not an Atlassian account", "copy the id"),
    (entry(KOFI), entry(KOFI).replace(KOFI, SADE), "helpdesk =", "is another Slack user", "make both the same"),
    (entry(KOFI), entry(KOFI).replace("U0KOFI", "U0SADE"), "helpdesk =", "has another account", "make both the same"),
    ("helpdesk = [", "helpers = [", "helpers = [", "`helpers` of roles is not known", "did you mean `helpdesk`?"),
    ('owner = "ours"', 'owner = "mine"', 'owner = "mine"', "neither ours nor fed", 'write owner = "ours"'),
    ('key = "SCIM_KEY_OURS"', "", "[directories.ours]", "needs its key", "add key ="),
    ('"SCIM_KEY_OURS"', '"sk-123-secret"', "key = ", "never the key itself", "put the key into that setting"),
    ('owner = "fed"', 'owner = "fed"\nkey = "SCIM_KEY_OURS"', "", "has the same key", "a setting of its own"),
    ("9e2c4f81-7d45-4c66", "0B1D7A52-6C38-4b57", "0B1D7A52", "the same id", "keep one"),
    ("9e2c4f81-7d45-4c66", "a/b", "a/b", "not a directory id", "copy it"),
    ('longest = "8h"', 'longest = "8 hrs"', "8 hrs", "not a duration", 'like "90m"'),
    ('longest = "8h"', "longest = 8", "longest = 8", "must be text in quotes", 'write longest = "8h"'),
    ('longest = "8h"', 'longest = "0h"', "0h", "no time at all", "write it like"),
    ('longest = "8h"', 'longest = "4000d"', "4000d", "is longer than", 'or write "until revoked"'),
    ('lifetime = "24h"', 'lifetime = "until revoked"', "lifetime", "can't stay open", 'lifetime = "24h"'),
    ('approvers = ["manager"]', 'approvers = "manager"', "approvers", "must be a list", 'approvers = ["manager"]'),
    ('approvers = ["manager"]', "approvers = []", "approvers = []", "nobody may approve", 'approvers = ["manager"]'),
    ('approvers = ["manager"]', "approvers = [7]", "approvers = [7]", "entry 1 of defaults must", "write approvers"),
    ('approvers = ["manager"]', 'approvers = ["owner"]', "[entitlements.eu-jira-admins]", "it has none", "add owner ="),
    ('["everyone"]', '["anyone"]', "anyone", "not a source", "everyone"),
    ('["everyone"]', '["manager"]', 'ask = ["manager"]', "asks for somebody else", "ask_for_others"),
    ("required = true", 'required = "yes"', "required", "must be true or false", "write required = true"),
    ("at_least = 10", "at_least = true", "at_least", "must be a whole number", "write at_least = 10"),
    ("at_least = 10", "at_least = 0", "at_least", "no sensible length", "a number from 1"),
    ('sources = ["file"]', "sources = []", "approvers = [", "[manager] has no source", 'write sources = ["file"]'),
    ('sources = ["file"]', 'sources = ["map"]', '["map"]', "map of managers is empty", "[manager.map]"),
    ('sources = ["file"]', 'sources = ["scim"]', '"scim"', "no manager source", 'use "slack_profile", "file"'),
    ('about = "Administer Jira in the EU"\n', "", "[entitlements.eu-jira-admins]", "`about` of", "add about ="),
    ('group = "eu-jira-admins"\n', "", "[entitlements.eu-jira-admins]", "says nothing of what", "one of"),
    ('group = "by-role"', 'group = "by-role"\nremoval_only = 1', "removal_only", "must be true", "only = true"),
    ('group = "by-role"', f'role = {ROLE}\ngroup = "x"', "[entitlements.by-role]", "says group and role", "one"),
    ('group = "by-role"', 'role = {name = "atlassian/user"}', "role =", "`resource` of", "add resource ="),
    ('group = "by-role"', f'role = {ROLE.replace("atlassian/user", "user")}', "role =", "not the id of a role", "like"),
    ('group = "by-role"', f'role = {ROLE.replace("ari:", "")}', "role =", "id of a product's workspace", "copy the id"),
    ('group = "by-role"', f'role = {ROLE.replace("user", "org-admin")}', "role =", "organization admins", "take it"),
    ('group = "by-role"', 'jira_group = "Org-Admins"\nremoval_only = true', "jira_group", "unmake them", "revoke @who"),
    ('group = "by-role"', 'jira_group = "site-admins"\nremoval_only = true', "jira_group", "unmake them", "@who"),
    ('group = "by-owner"', 'jira_group = "by-Role"', 'group = "by-role"', "gives this group already", "keep one"),
    ("[channels]", 'unmanaged = "tell"\n[channels]', "unmanaged", "neither warn nor refuse", 'unmanaged = "refuse"'),
    ("[reason]", "[limits]\nwarn_above = 0\n[reason]", "warn_above", "no sensible limit", "a number from 1 on"),
    ("[reason]", "[limits]\nmembers_per_call = 10000\n[reason]", "members_per_call", "a whole batch", "below 10000"),
    ("[reason]", "[limits]\nadvised_below = 300000\n[reason]", "advised_below", "above the most", "make it smaller"),
    ("[reason]", PROTECTED + PROTECTED + "[reason]", "", "protected already", "keep one"),
    ("[reason]", '[[protected]]\naccount = "712020:emergency"\n[reason]', "protected", "`why` of", "add why ="),
    ('owner = "ours"', 'owner = "ours"\ntake_away = true', "take_away", "of ours may be written", "leave the line out"),
    ('owner = "fed"', 'owner = "fed"\ntake_away = true', "[directories.fed]", "nothing can be taken away", "add key ="),
    ('"eu-jira-admins"', '"jira-software-users-eu"', "jira-software-users-eu", "default access groups", "of your own"),
    ('"eu-jira-admins"', '"Site-Admins"', "Site-Admins", "default access groups", "make a group of your own"),
    ('"eu-jira-admins"', '" eu"', '" eu"', "not the name of a group", "exactly as Atlassian shows it"),
    ('group = "by-role"', 'group = "By-Owner"', "By-Owner", "gives this group already", "one entitlement for each"),
    ("[entitlements.by-role]", "[entitlements.By-Owner]", "s.By-Owner]", "by capitals only", "another name"),
    ("[entitlements.by-role]", '[entitlements."by role"]', "by role", "can't be typed", "use letters"),
    ("[entitlements.by-role]", "[entitlements.because]", "because", "word of the commands", "another name"),
    ('group = "by-role"', 'group = "by-role"\nrole = "admin"', "role =", "must be a table", "write role = {name"),
    ('group = "by-role"', 'group = "by-role"\ntier = "high"\napprovals = 1', "approvals = 1", "which needs two", "= 2"),
    ('group = "by-role"', 'group = "by-role"\ntier = "huge"', "tier", "there is no tier", 'tier = "low"'),
    ('group = "by-role"', 'group = "by-role"\napprovals = 2', "approvals = 2", "2 approvals are wanted", "name more"),
    ('group = "by-role"', 'group = "by-role"\napprovals = 0', "approvals", "must approve", "write approvals = 1"),
    ('group = "by-role"', 'group = "by-role"\nlisted = "no"', "listed", "must be true or false", "listed = true"),
    ('group = "by-role"', 'group = "by-role"\nbreak_glass = true', "break_glass", "no table [break_glass]", "add it"),
    ('group = "by-role"', 'group = "by-role"\nlongst = "1h"', "longst", "is not known", "did you mean `longest`?"),
    ('["role:security"]', '["role:boss"]', "role:boss", "there is no role", "use one of role:admin"),
    ('["role:security"]', '["role:auditor"]', "role:auditor", "has nobody in it", "add auditor ="),
    ('["role:security"]', '["everyone"]', 'approvers = ["everyone"]', "can't be the approver", "name who answers"),
    ('["role:security"]', '["usergroup:S01"]', "usergroup", "could make themselves an approver", "user_groups ="),
    ('["role:security"]', '["group:by-many"]', "group:by-many", "the bot itself makes", "no entitlement gives"),
    ('["role:security"]', '["oncall:jira"]', "oncall", "no on-call source", "add a table [oncall.jira]"),
    ('["role:security"]', '["user:T0A1/U0B1"]', "user:T0A1", "needs both ids", "write {slack ="),
    ('["role:security"]', '["managr"]', "managr", "not a source", 'did you mean "manager"?'),
    ('["role:security"]', '[\n"manager",\n"usr"\n]', '"usr"', "not a source", "use "),
    (entry(TOMAS) + "]\n[entitlements.by-many]", '{slack = "x"}]\n[entitlements.by-many]', '"x"', "is missing", "add"),
    (f'"account:{MEI}"', '"account:mei"', "account:mei", "not an Atlassian account id", "copy the id"),
    (f'"user:{TEAM}/U0TOMAS"', '"user:tomas"', "user:tomas", "not a workspace and a Slack user", "write both ids"),
    ("ask_for_others = []", 'ask_for_others = ["role:auditor"]', '["role:auditor"]', "has nobody in it", "add auditor"),
    (f"approvers = [{entry(TOMAS)}]",
     f'approvers = [{entry(TOMAS)}]\nwho_may_ask = ["account:{TOMAS}"]\nask_for_others = []',
     "", "is the only one who may approve it", "add an approver"),
    ('who_may_ask = ["role:security"', 'who_may_ask = [] #["', "who_may_ask = []", "nobody may ask", "everyone"),
]  # fmt: skip


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.parse(GOOD)


def line_with(text: str, part: str) -> int:
    return text.count("\n", 0, text.index(part)) + 1


@pytest.mark.parametrize(("before", "after", "where", "what", "mend"), MISTAKES)
def test_a_mistake_is_named_with_file_line_and_mend(before: str, after: str, where: str, what: str, mend: str) -> None:
    assert before in GOOD
    broken = GOOD.replace(before, after, 1)
    with pytest.raises(PolicyProblem) as refused:
        Policy.parse(broken, "ours.toml")
    told = [sentence for sentence in refused.value.sentences if what in sentence]
    assert told, refused.value.sentences
    file_and_line, _, said = told[0].partition(": ")
    if where:
        assert file_and_line == f"ours.toml, line {line_with(broken, where)}"
    assert re.fullmatch(r"ours\.toml, line [1-9][0-9]*", file_and_line)
    assert mend in said.split("; ", 1)[1]


def test_every_mistake_is_told_at_once_in_the_order_of_the_file() -> None:
    broken = GOOD.replace("required = true", "required = 1").replace('"C0ACCESS01"', "1")
    broken = broken.replace("[reason]", "x = 1\n[reason]")
    with pytest.raises(PolicyProblem) as refused:
        Policy.parse(broken)
    lines = [int(sentence.split("line ")[1].split(":")[0]) for sentence in refused.value.sentences]
    assert len(lines) == 3
    assert lines == sorted(lines)


def test_a_key_pasted_into_the_file_is_not_repeated() -> None:
    with pytest.raises(PolicyProblem) as refused:
        Policy.parse(GOOD.replace("SCIM_KEY_OURS", "ATCTT3xFfGN0"))
    assert "ATCTT3xFfGN0" not in str(refused.value)


def test_nothing_of_the_library_shows_in_a_refusal() -> None:
    for before, after, *_ in MISTAKES:
        with pytest.raises(PolicyProblem) as refused:
            Policy.parse(GOOD.replace(before, after, 1))
        assert not re.search(r"pydantic|type=|input_value|Traceback|valid (string|list|boolean)", str(refused.value))


@given(st.one_of(
    st.text(max_size=300),
    st.text(alphabet=st.characters(exclude_categories=()), max_size=40),
    st.text(alphabet="[]{}=.\"'\\#\n\r\t ,abc017_-", max_size=200),
))  # fmt: skip
def test_any_text_is_a_policy_or_a_policy_problem(text: str) -> None:
    with pytest.raises(PolicyProblem) as refused:
        Policy.parse(text)
    assert all(re.match(r"policy\.toml, line [1-9][0-9]*: .+; .+", sentence) for sentence in refused.value.sentences)


@given(st.data())
def test_a_policy_with_any_piece_replaced_is_a_policy_or_a_policy_problem(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(start + 30, len(GOOD))))
    piece = data.draw(st.text(alphabet="[]{}=.\"'\\#\n ,aeo017", max_size=8))
    with suppress(PolicyProblem):
        Policy.parse(GOOD[:start] + piece + GOOD[end:])


@pytest.mark.parametrize("text", ["x=" + "[" * 100_000, "x=" + "9" * 5000, "\ud800", "x = '" + "a" * 1_000_001 + "'"])
def test_hostile_texts_are_policy_problems(text: str) -> None:
    with pytest.raises(PolicyProblem, match=r"policy.toml, line 1: "):
        Policy.parse(text)


def test_lines_are_found_through_strings_comments_and_dotted_keys() -> None:
    text = """\
a."b.c" = 1  # [not.a.table]
d = '''
[e]
x = "]"'''
[e] # comment
x = [ # one
  {y = "]}#", z = [1,
  2]},
  '''}''',
]
[[f]]
g = 1
[[f]]
g = 1979-05-27 07:32:00
[f.h]
i = {}
"""
    tomllib.loads(text)
    lines = Lines(text)
    places = {
        ("a",): 1, ("a", "b.c"): 1, ("d",): 2, ("e",): 5, ("e", "x"): 6, ("e", "x", 0): 7, ("e", "x", 0, "z", 1): 8,
        ("e", "x", 1): 9, ("f", 0): 11, ("f", 1): 13, ("f", 1, "g"): 14, ("e", "x", 0, "missing"): 7, ("nowhere",): 1,
    }  # fmt: skip
    assert {path: lines.of(path) for path in places} == places


# --- what is parsed


def test_the_example_and_the_demo_policy_are_policies() -> None:
    example = Path(__file__).parents[2] / "policy.example.toml"
    assert Policy.parse(example.read_text(encoding="utf-8"), "policy.example.toml").entitlements
    names = [entitlement.name for entitlement in Policy.parse(demo_policy()).entitlements]
    assert names == ["eu-jira-admins", "eu-confluence-admins", "breakglass-drill", "jira-basic", "release-managers"]


def test_the_demo_policy_names_people_groups_and_channels_of_the_seeded_company() -> None:
    demo = Policy.parse(demo_policy())
    everyone = company()
    ingrid, kofi = everyone.person("ingrid"), everyone.person("kofi")
    assert demo.roles_of(ingrid.account_id, SLACK_TEAM, ingrid.slack_id) == {"admin"}
    assert demo.roles_of(kofi.account_id, SLACK_TEAM, kofi.slack_id) == {"helpdesk"}
    groups = [entitlement for entitlement in demo.entitlements if entitlement.kind == "group"]
    assert all(everyone.group(entitlement.group) for entitlement in groups)
    assert demo.channels.security == everyone.channel("security").id


def test_an_entitlement_is_a_group_a_group_of_the_site_or_a_role() -> None:
    text = GOOD.replace('group = "by-role"', f"role = {ROLE}").replace('group = "by-owner"', 'jira_group = "local"')
    role, site = (Policy.parse(text).entitlement(name) for name in ("by-role", "by-owner"))
    assert role is not None
    assert site is not None
    assert (role.kind, role.role, role.resource) == ("role", "atlassian/user", "ari:cloud:jira-software::site/1")
    assert (site.kind, site.group) == ("jira_group", "local")


def test_default_group_may_be_named_for_removal_only() -> None:
    text = GOOD.replace('group = "by-role"', 'group = "jira-software-users"\nremoval_only = true')
    found = Policy.parse(text).entitlement("by-role")
    assert found is not None
    assert found.removal_only
    refused = may_request(Policy.parse(text), found, Policy.parse(text).person(ADA, "T0", "U0"), ADA, GRACE)
    assert not refused
    assert "is only taken away" in refused.because


def test_nothing_of_a_protected_account_is_changed_whoever_asks_and_whoever_answers() -> None:
    policy = Policy.parse(GOOD.replace("[reason]", PROTECTED.replace("712020:emergency", ADA) + "[reason]"))
    entitlement = policy.entitlement("eu-jira-admins")
    assert entitlement is not None
    asked = may_ask(policy, entitlement, policy.person(ADA, "T0", "U0"), ADA, GRACE, HOUR, "the database is down")
    for verdict in (asked, may_decide(policy, entitlement, ADA, ADA, GRACE, GRACE)):
        assert not verdict
        assert verdict.rule == "protected"
        assert "for emergencies" in verdict.because


def test_an_entitlement_carries_the_defaults_of_its_file(policy: Policy) -> None:
    plain, role = policy.entitlement("EU-Jira-Admins"), policy.entitlement("by-role")
    assert plain is not None
    assert role is not None
    assert (plain.kind, plain.group, plain.channel, plain.listed) == ("group", "eu-jira-admins", "C0ACCESS01", False)
    assert (plain.longest, plain.lifetime) == (8 * HOUR, 24 * HOUR)
    assert (role.channel, role.lifetime) == ("C0SPECIAL1", 2 * HOUR)


def test_an_unknown_name_gets_the_nearest_ones(policy: Policy) -> None:
    assert policy.entitlement("eu-jra-admin") is None
    assert policy.nearest("eu-jra-admin")[0] == "eu-jira-admins"
    assert policy.nearest("JIRA") == ["eu-jira-admins"]
    assert policy.nearest("zzzzzz") == []


@pytest.mark.parametrize(
    "typed",
    [
        "eu jira admins", "eu_jira_admins", "eujiraadmins", "eu.jira.admins", "eu-jira-admin", "eu-jria-admins",
        "eu-jira-admisn", "EU-JIRA-ADMINS2", "jira admins", "eu jira", "u-jira-admins", "eu-jira-adminss",
    ],
)  # fmt: skip
def test_forgotten_swapped_and_doubled_letters_are_near(policy: Policy, typed: str) -> None:
    assert policy.nearest(typed)[0] == "eu-jira-admins"


def test_the_hash_of_a_rule_follows_the_rule_and_not_the_file(policy: Policy) -> None:
    def rule(text: str) -> str:
        found = Policy.parse(text).entitlement("eu-jira-admins")
        assert found is not None
        return found.rule_hash

    same = [GOOD + "\n# a comment\n", GOOD.replace("Administer Jira", "Run Jira"), GOOD.replace('"2h"', '"3h"')]
    other = [GOOD.replace('longest = "8h"', 'longest = "9h"'), GOOD.replace('"eu-jira-admins"', '"others"')]
    assert {rule(text) for text in same} == {rule(GOOD)}
    assert len({rule(GOOD), *map(rule, other)}) == 3
    assert Policy.parse(same[0]).hash != policy.hash


@pytest.mark.parametrize(
    ("account", "team", "user", "roles"),
    [
        (OMAR, TEAM, "U0OMAR", {"admin"}),
        (SADE, TEAM, "U0SADE", {"security"}),
        (OMAR, TEAM, "U0ADA", set()),
        (ADA, TEAM, "U0OMAR", set()),
        (OMAR, "T0OTHER", "U0OMAR", set()),
        (ADA, TEAM, "U0ADA", set()),
    ],
)
def test_a_role_needs_the_slack_user_and_the_account(
    policy: Policy, account: str, team: str, user: str, roles: set[str]
) -> None:
    assert policy.roles_of(account, team, user) == roles
    assert policy.person(account, team, user).roles == roles


def test_a_directory_that_is_not_named_is_not_ours(policy: Policy) -> None:
    named = policy.directory("0B1D7A52-6C38-4B57")
    assert named is not None
    assert (named.owner, named.key) == ("ours", "SCIM_KEY_OURS")
    assert policy.directory("elsewhere") is None


@pytest.mark.parametrize("name", ["jira-software-users", "Confluence-Users-eu", "site-admins", "\uff53ite-admins"])
def test_default_groups_are_known_however_they_are_written(name: str) -> None:
    assert is_default_group(name)
    assert not is_default_group(f"our-{name}")


@pytest.mark.parametrize(
    ("text", "length", "said"),
    [
        ("90m", timedelta(minutes=90), "1 hour 30 minutes"),
        ("2H", 2 * HOUR, "2 hours"),
        ("1d", 24 * HOUR, "1 day"),
        ("30d", timedelta(days=30), "30 days"),
        ("Until  revoked", None, "until revoked"),
    ],
)
def test_durations_are_read_and_said(text: str, length: timedelta | None, said: str) -> None:
    assert parse_duration(text) == length
    assert say_duration(length) == said
    assert parse_duration(write_duration(length)) == length


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "٣h", "0m", "1h30", "9999999h", "3651d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'"30d"|"until revoked"'):
        parse_duration(text)


# --- who may ask


@pytest.mark.parametrize(
    ("name", "asker", "subject", "manager", "allowed", "rule"),
    [
        ("eu-jira-admins", ADA, ADA, GRACE, True, "who_may_ask"),
        ("eu-jira-admins", ADA, ADA, None, True, "who_may_ask"),
        ("eu-jira-admins", GRACE, ADA, GRACE, True, "ask_for_others"),
        ("eu-jira-admins", KOFI, ADA, GRACE, True, "ask_for_others"),
        ("eu-jira-admins", KOFI, ADA, None, True, "ask_for_others"),
        ("eu-jira-admins", GRACE, ADA, None, False, "ask_for_others"),
        ("eu-jira-admins", MEI, ADA, GRACE, False, "ask_for_others"),
        ("eu-jira-admins", OMAR, ADA, GRACE, False, "ask_for_others"),
        ("for-few", SADE, SADE, GRACE, True, "who_may_ask"),
        ("for-few", MEI, MEI, GRACE, True, "who_may_ask"),
        ("for-few", TOMAS, TOMAS, GRACE, True, "who_may_ask"),
        ("for-few", INGRID, INGRID, GRACE, True, "who_may_ask"),
        ("for-few", OMAR, OMAR, GRACE, False, "who_may_ask"),
        ("for-few", ADA, ADA, GRACE, False, "who_may_ask"),
        ("for-few", GRACE, ADA, GRACE, False, "ask_for_others"),
        ("for-few", SADE, MEI, None, False, "ask_for_others"),
    ],
)
def test_who_may_ask_for_whom(
    policy: Policy, name: str, asker: str, subject: str, manager: str | None, allowed: bool, rule: str
) -> None:
    entitlement = policy.entitlement(name)
    assert entitlement is not None
    person = policy.person(asker, TEAM, f"U0{asker[7:].upper()}")
    verdict = may_ask(policy, entitlement, person, subject, manager, HOUR, REASON)
    assert (verdict.allowed, bool(verdict), verdict.rule) == (allowed, allowed, f"entitlements.{name}.{rule}")
    assert name in verdict.because


def test_half_of_a_person_may_not_ask(policy: Policy) -> None:
    entitlement = policy.entitlement("for-few")
    assert entitlement is not None
    for person in (policy.person(INGRID, TEAM, "U0ADA"), policy.person(ADA, TEAM, "U0INGRID")):
        assert not may_ask(policy, entitlement, person, person.account, None, HOUR, REASON)


@pytest.mark.parametrize(
    ("name", "duration", "reason", "because"),
    [
        ("eu-jira-admins", 8 * HOUR, REASON, ""),
        ("eu-jira-admins", 9 * HOUR, REASON, "eu-jira-admins may be held for 8 hours at most; ask for 8h or less"),
        ("eu-jira-admins", None, REASON, "eu-jira-admins may be held for 8 hours at most; ask for 8h or less"),
        ("eu-jira-admins", timedelta(0), REASON, "that is no time at all; ask for some, like 2h"),
        ("eu-jira-admins", -HOUR, REASON, "that is no time at all; ask for some, like 2h"),
        ("by-owner", None, REASON, ""),
        ("by-owner", timedelta(days=100), REASON, ""),
        ("by-owner", timedelta(9999), REASON, "by-owner may be held for 3650 days at most; ask for 3650d or less"),
        ("eu-jira-admins", HOUR, None, "a reason of at least 10 characters is needed; say what the access is for"),
        ("by-owner", HOUR, "a        b", "a reason of at least 10 characters is needed; say what the access is for"),
    ],
)
def test_how_long_and_why(
    policy: Policy, name: str, duration: timedelta | None, reason: str | None, because: str
) -> None:
    entitlement = policy.entitlement(name)
    assert entitlement is not None
    verdict = may_ask(policy, entitlement, policy.person(ADA, TEAM, "U0ADA"), ADA, GRACE, duration, reason)
    assert verdict.allowed is not bool(because)
    assert not because or verdict.because == because


def test_a_reason_may_be_left_out_where_the_policy_says_so() -> None:
    lenient = Policy.parse(GOOD.replace("required = true", "required = false"))
    entitlement = lenient.entitlements[0]
    assert may_ask(lenient, entitlement, lenient.person(ADA, TEAM, "U0ADA"), ADA, GRACE, HOUR, None)


# --- who must answer


@pytest.mark.parametrize(
    ("name", "asker", "subject", "manager", "answerers"),
    [
        ("eu-jira-admins", ADA, ADA, GRACE, [GRACE]),
        ("eu-jira-admins", ADA, ADA, None, []),
        ("eu-jira-admins", ADA, ADA, "", []),
        ("eu-jira-admins", ADA, ADA, ADA, []),
        ("eu-jira-admins", GRACE, ADA, GRACE, []),
        ("eu-jira-admins", KOFI, ADA, GRACE, [GRACE]),
        ("by-owner", ADA, ADA, GRACE, [MEI]),
        ("by-owner", ADA, ADA, None, [MEI]),
        ("by-owner", MEI, MEI, GRACE, []),
        ("by-owner", GRACE, MEI, GRACE, []),
        ("by-role", ADA, ADA, None, [SADE]),
        ("by-role", SADE, SADE, GRACE, []),
        ("by-person", ADA, ADA, None, [TOMAS]),
        ("by-person", TOMAS, ADA, GRACE, []),
        ("by-many", ADA, ADA, GRACE, [GRACE, MEI, OMAR, INGRID, TOMAS]),
        ("by-many", ADA, ADA, None, [MEI, OMAR, INGRID, TOMAS]),
        ("by-many", OMAR, MEI, GRACE, [GRACE, INGRID, TOMAS]),
        ("by-many", ADA, ADA, MEI, [MEI, OMAR, INGRID, TOMAS]),
    ],
)
def test_who_answers(
    policy: Policy, name: str, asker: str, subject: str, manager: str | None, answerers: list[str]
) -> None:
    entitlement = policy.entitlement(name)
    assert entitlement is not None
    found = approvers(policy, entitlement, asker, subject, manager)
    assert list(found.accounts) == answerers
    assert bool(found) == bool(answerers)
    for account in (*EVERYBODY, ""):
        verdict = may_decide(policy, entitlement, asker, subject, manager, account)
        assert verdict.allowed == (account in answerers)
        assert verdict.because


def test_each_approver_is_told_why_it_is_them(policy: Policy) -> None:
    entitlement = policy.entitlement("by-many")
    assert entitlement is not None
    why = {one.account: one.because for one in approvers(policy, entitlement, ADA, ADA, GRACE)}
    assert why[GRACE] == "the person's manager"
    assert why[MEI] == "the owner of by-many"
    assert why[OMAR] == "one of the role admin"
    assert why[TOMAS] == "named in the policy for by-many"


def test_a_source_that_gives_nobody_is_named(policy: Policy) -> None:
    entitlement = policy.entitlement("by-many")
    assert entitlement is not None
    assert approvers(policy, entitlement, ADA, ADA, None).missing == ("no manager is known for the person",)
    assert approvers(policy, entitlement, GRACE, ADA, GRACE).missing == (
        "the person's manager: only the requester or the person it is for",
    )


def test_what_forbids_beats_what_allows(policy: Policy) -> None:
    entitlement = policy.entitlement("by-many")
    assert entitlement is not None
    own = may_decide(policy, entitlement, OMAR, ADA, GRACE, OMAR)
    about = may_decide(policy, entitlement, ADA, MEI, GRACE, MEI)
    assert (own.allowed, own.because) == (False, "nobody approves their own request")
    assert (about.allowed, about.because) == (False, "nobody approves what is for themselves")
    assert own.rule == about.rule == "separation of duties"


def test_when_nobody_can_answer_the_admins_who_can_mend_it_are_named(policy: Policy) -> None:
    sentence = authority.nobody_is_left(case(policy, policy.entitlements[0], ADA, ADA, None))
    assert "eu-jira-admins" in sentence
    assert "<@U0OMAR> or <@U0INGRID> can mend the policy" in sentence


accounts = st.one_of(st.sampled_from(EVERYBODY), st.text(max_size=20))


@given(st.integers(0, 5), accounts, accounts, st.one_of(st.none(), accounts), accounts)
def test_requester_and_subject_never_answer(
    number: int, requester: str, subject: str, manager: str | None, approver: str
) -> None:
    policy = Policy.parse(GOOD)
    entitlement = policy.entitlements[number]
    found = approvers(policy, entitlement, requester, subject, manager)
    assert requester not in found.accounts
    assert subject not in found.accounts
    assert len(set(found.accounts)) == len(found.accounts)
    for account in (requester, subject, approver):
        allowed = may_decide(policy, entitlement, requester, subject, manager, account).allowed
        assert allowed == (account in found.accounts)
