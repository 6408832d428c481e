"""The doctor's probe: it learns how the audit log shows a write, and never leaves anybody in the group."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from approvals import crash
from approvals.policy import Policy
from approvals.ports import DirectoryError
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.event_kinds import read_config
from bot.doctor.audit_file import before
from bot.doctor.probe import Learnt, NoProbe, Probe
from bot.sandbox import seed
from bot.sandbox.atlassian.control import AtlassianControl
from bot.sandbox.atlassian.server import running
from bot.sandbox.demo_policy import demo_policy
from tests.support.reach import clients

COMPANY = seed.company()
ADA, NADIA = (COMPANY.person(handle).account_id for handle in ("ada", "nadia"))
POLICY = Policy.parse(demo_policy())
DRILL = "breakglass-drill"


@pytest.fixture
def atlassian() -> Iterator[AtlassianControl]:
    with running() as base, AtlassianControl(base) as control:
        yield control


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def probe(atlassian: AtlassianControl, said: list[str]) -> Iterator[Probe]:
    there = clients(str(atlassian._client.base_url).removesuffix("/control").rstrip("/"))
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        atlassian.set_clock(clock[0])

    yield Probe(AtlassianDirectory(there, POLICY), POLICY, sleep, said.append)
    there.close()


def test_it_learns_the_actions_and_how_the_key_shows(probe: Probe, atlassian: AtlassianControl) -> None:
    learnt = probe.run(probe.plan(DRILL, ADA))
    assert set(learnt.actions) == {"add_member", "remove_member"}
    assert learnt.actions["add_member"] != learnt.actions["remove_member"]
    assert atlassian.members(DRILL) == set()
    assert f'add_member = "{learnt.actions["add_member"]}"' in learnt.toml()
    assert learnt.actor


def test_it_waits_for_a_log_that_is_late(probe: Probe, atlassian: AtlassianControl) -> None:
    atlassian.switch(event_delay=120.0)
    learnt = probe.run(probe.plan(DRILL, ADA))
    assert len(learnt.actions) == 2
    assert learnt.after >= 100


def test_a_log_that_never_shows_it_teaches_nothing_and_is_not_asked_for_ever(
    probe: Probe, atlassian: AtlassianControl
) -> None:
    atlassian.switch(event_delay=86_400.0)
    assert probe.run(probe.plan(DRILL, ADA)).actions == {}
    assert atlassian.members(DRILL) == set()


@pytest.mark.parametrize(
    ("group", "account", "because"),
    [
        ("release-managers", NADIA, "is not empty"),
        ("eu-jira-admins", ADA, "take one that opens nothing"),
        ("jira-software-users", ADA, "is a default access group"),
        ("support-agents", ADA, "is synced from an identity provider"),
        ("no-such-group", ADA, "no group named"),
        (DRILL, "712020:nobody", "has no account"),
    ],
)
def test_what_is_not_fit_for_it_is_refused_and_nothing_written(
    probe: Probe, atlassian: AtlassianControl, group: str, account: str, because: str
) -> None:
    with pytest.raises(NoProbe, match=because):
        probe.plan(group, account)
    assert atlassian.ledger(writes=True) == []


def test_what_an_earlier_probe_left_is_taken_out_first(probe: Probe, atlassian: AtlassianControl) -> None:
    step = probe.plan(DRILL, ADA)
    probe.directory.perform(step)
    with pytest.raises(NoProbe, match="it is out now"):
        probe.plan(DRILL, ADA)
    assert atlassian.members(DRILL) == set()


@pytest.mark.parametrize(
    "label", ["probe: before putting in", "probe: put in", "probe: before taking out", "probe: taken out"]
)
def test_killed_in_the_middle_the_next_one_takes_out_whoever_was_left(
    probe: Probe, atlassian: AtlassianControl, label: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(here: str) -> None:
        if here == label:
            raise Killed

    step = probe.plan(DRILL, ADA)
    # a dead process takes nobody out: from the point on, nothing reaches Atlassian
    crash.set_hook(kill)
    taken = probe._take_out
    probe._take_out = lambda step: taken(step) if "taking" in label or "taken" in label else None  # type: ignore[method-assign]
    try:
        with pytest.raises(Killed):
            probe.run(step)
    finally:
        crash.set_hook(lambda here: None)
        probe._take_out = taken  # type: ignore[method-assign]
    if atlassian.members(DRILL):
        with pytest.raises(NoProbe, match="it is out now"):
            probe.plan(DRILL, ADA)
    assert atlassian.members(DRILL) == set()
    assert probe.run(probe.plan(DRILL, ADA)).actions


def test_who_was_put_in_is_taken_out_though_nothing_can_be_read(probe: Probe, atlassian: AtlassianControl) -> None:
    step = probe.plan(DRILL, ADA)
    atlassian.fault(method="GET", path_regex="/Users/", status=503, times=1)
    with pytest.raises(DirectoryError):
        probe.run(step)
    assert atlassian.members(DRILL) == set()


def test_who_can_not_be_taken_out_again_is_said_aloud(probe: Probe, atlassian: AtlassianControl) -> None:
    step = probe.plan(DRILL, ADA)
    probe.directory.perform(step)
    atlassian.fault(method="PATCH", path_regex="/Groups/", status=500, times=None)
    with pytest.raises(NoProbe, match="Take them out by hand"):
        probe._take_out(step)


def test_without_an_entitlement_there_is_nothing_to_learn_about(probe: Probe) -> None:
    bare = replace(probe, policy=replace(POLICY, entitlements=()))
    with pytest.raises(NoProbe, match="no entitlement"):
        bare.plan(DRILL, ADA)


def test_a_second_probe_gives_the_whole_file_with_both_keys_in_it(tmp_path: Path) -> None:
    """TOML takes no table twice: whoever added the second probe's lines to the first's had a bot that did not start."""
    organization = {"id": "712020:omar", "token_label": "Gatehouse", "credential": "organization"}
    first = Learnt({"add_member": "user_added_to_group", "remove_member": "out"}, organization, 40.0)
    scim = {"token_label": 'Gate"house\x7f', "credential": "scim:1"}
    second = Learnt({"add_member": "scim_added"}, scim, 12.0)
    file = tmp_path / "audit-log.toml"
    file.write_text(first.toml(), encoding="utf-8")
    for learnt in (second, second):
        file.write_text(learnt.toml(before(file)), encoding="utf-8")
    config = read_config(file)
    assert config.known == {"organization", "scim:1"}
    assert len(config.actors) == 2
    assert config.actions == {"add_member": ("user_added_to_group", "scim_added"), "remove_member": ("out",)}
    assert config.actors[1].shown["token_label"] == 'Gate"house\x7f'


def test_what_somebody_wrote_into_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "audit-log.toml"
    file.write_text(
        '[audit_log]\nlink = "https://a.example/{org}"\nmissing_after_minutes = 45\n'
        '[audit_log.actions]\n"scim/set_email" = ["x", "y"]\n[audit_log.actor]\ntoken_label = "Gatehouse"\n',
        encoding="utf-8",
    )
    old = read_config(file)
    file.write_text(Learnt({"add_member": "a"}, {}, 3.0).toml(before(file)), encoding="utf-8")
    new = read_config(file)
    assert (new.link, new.missing_after, new.actors) == (old.link, old.missing_after, old.actors)
    assert new.actions == {"scim/set_email": ("x", "y"), "add_member": ("a",)}


def test_a_log_that_names_nobody_teaches_no_key(tmp_path: Path) -> None:
    file = tmp_path / "audit-log.toml"
    assert before(file) == {}, "named, and still to be made"
    file.write_text(Learnt({"add_member": "a"}, {"name": "Omar"}, 3.0).toml(), encoding="utf-8")
    assert read_config(file).actors == ()
