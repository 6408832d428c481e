"""Sources by name: built from the settings, remembered for a minute, and never believed when they fail."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from approvals.ports import Incidents, OnCall, OnCallError
from bot.oncall.reading import Reading
from bot.oncall.sources import (
    InPagerDuty,
    Jsm,
    OnCallSources,
    Rota,
    build_incidents,
    build_on_call,
)
from bot.sandbox import seed
from bot.sandbox.oncall.state import CLOUD_ID, PAGERDUTY_KEY
from bot.settings import Settings, SettingsProblem, load_settings
from tests.support.on_call import ADA, HOUR, MEI, NOON, StandIn, problem

SECOND = timedelta(seconds=1)
ACCOUNT = "5b10a2844c20165700ede21g"


class Told:
    """A source that tells what it is told to tell, and remembers what it was asked."""

    def __init__(self) -> None:
        self.people: set[str] = {ADA}
        self.until: datetime | None = None
        self.fails = False
        self.asked: list[datetime] = []
        self.closed = False

    def read(self, at: datetime) -> Reading:
        self.asked.append(at)
        if self.fails:
            raise OnCallError("PagerDuty: there was no answer", retry=True)
        return Reading(frozenset(self.people), self.until)

    def close(self) -> None:
        self.closed = True


class House:
    """One source behind the memory, and both clocks in our hands."""

    def __init__(self) -> None:
        self.source = Told()
        self.real = 1000.0
        self.sources = OnCallSources({"primary": self.source}, clock=lambda: self.real)

    def at(self, seconds: float) -> frozenset[str]:
        """Both clocks ``seconds`` after noon."""
        self.real = 1000.0 + seconds
        return self.sources.on_call("primary", NOON + seconds * SECOND)


def settings(there: StandIn, **more: str) -> Settings:
    environ = {
        "ATLASSIAN_API_URL": there.url,
        "ATLASSIAN_SITE_URL": there.url,
        "ATLASSIAN_SITE_EMAIL": seed.SITE_EMAIL,
        "ATLASSIAN_SITE_API_TOKEN": seed.SITE_API_TOKEN,
        "ATLASSIAN_CLOUD_ID": CLOUD_ID,
        "PAGERDUTY_API_URL": there.url,
        "PAGERDUTY_API_TOKEN": PAGERDUTY_KEY,
    }
    return load_settings({**environ, **more}, needs=(), env_file=None)


def test_an_answer_is_remembered_for_less_than_a_minute() -> None:
    house = House()
    assert house.at(0) == {ADA}
    house.source.people = {MEI}
    assert house.at(59.9) == {ADA}
    assert house.at(60) == {MEI}
    assert len(house.source.asked) == 2


def test_an_answer_is_not_served_beyond_the_handover_it_told_of() -> None:
    house = House()
    house.source.until = NOON + 10 * SECOND
    house.at(0)
    house.source.people, house.source.until = {MEI}, None
    assert house.at(9.9) == {ADA}
    assert house.at(10) == {MEI}


def test_when_the_source_fails_nothing_older_is_served() -> None:
    house = House()
    house.at(0)
    house.source.fails = True
    assert house.at(59) == {ADA}
    for seconds in (60, 61, 3600):
        problem(lambda seconds=seconds: house.at(seconds), OnCallError)  # type: ignore[misc]
    house.source.fails = False
    assert house.at(3601) == {ADA}


def test_a_failure_is_not_remembered() -> None:
    house = House()
    house.source.fails = True
    problem(lambda: house.at(0), OnCallError)
    house.source.fails = False
    assert house.at(0) == {ADA}


def test_an_answer_serves_for_its_own_moment_only() -> None:
    house = House()
    house.at(0)
    for other in (NOON - SECOND, NOON + HOUR, NOON + 60 * SECOND):
        house.sources.on_call("primary", other)
    assert len(house.source.asked) == 4


def test_moving_one_clock_does_not_keep_an_answer_alive() -> None:
    house = House()
    house.at(0)
    house.real += 60
    house.sources.on_call("primary", NOON)
    assert len(house.source.asked) == 2


def test_a_slow_answer_does_not_take_the_place_of_a_newer_one() -> None:
    house, release, entered = House(), threading.Event(), threading.Event()
    read = house.source.read

    def slow(at: datetime) -> Reading:
        reading = read(at)
        entered.set()
        release.wait(10)
        return reading

    house.source.read = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=house.at, args=(0,))
    thread.start()
    entered.wait(10)
    house.source.read = read  # type: ignore[method-assign]
    house.source.people = {MEI}
    assert house.at(5) == {MEI}
    release.set()
    thread.join()
    assert house.at(6) == {MEI}
    assert len(house.source.asked) == 2


def test_a_source_that_nobody_described_is_an_error() -> None:
    error = problem(lambda: House().sources.on_call("secondary", NOON), OnCallError)
    assert str(error) == "There is no on-call source “secondary”."
    assert not error.retry


def test_a_moment_without_a_zone_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        House().sources.on_call("primary", datetime(2026, 1, 1))


def test_closing_closes_each_source() -> None:
    house = House()
    house.sources.close()
    assert house.source.closed


def test_all_three_kinds_are_built_from_the_settings(there: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "rota.toml"
    file.write_text(
        f'[[shift]]\nwho = ["{MEI}"]\nfrom = {(NOON - HOUR).isoformat()}\nuntil = {(NOON + HOUR).isoformat()}\n'
    )
    shift = {"start": NOON - HOUR, "end": NOON + HOUR}
    there.control.pagerduty({"who": ADA, "schedule": "PPRIMARY", **shift})
    there.control.jsm({"who": ACCOUNT, "schedule": "f8f2a4ec-54b2", **shift})
    described = {
        "pd": InPagerDuty("PPRIMARY"),
        "policy": InPagerDuty("PPOLICY", "escalation_policy", 2),
        "jsm": Jsm("f8f2a4ec-54b2"),
        "file": Rota(file),
    }
    built = build_on_call(settings(there), described)
    sources: OnCall = built
    found = {name: sources.on_call(name, NOON) for name in described}
    assert found == {"pd": {ADA}, "policy": {ADA}, "jsm": {ACCOUNT}, "file": {MEI}}
    built.close()


@pytest.mark.parametrize(
    ("described", "name", "lacking"),
    [(Jsm("x"), "ATLASSIAN_CLOUD_ID", "ATLASSIAN_CLOUD_ID"), (InPagerDuty("P1"), "PAGERDUTY_API_TOKEN", "PAGERDUTY_")],
    ids=["jsm", "pagerduty"],
)  # fmt: skip
def test_a_source_whose_settings_lack_is_said_at_the_start(
    there: StandIn, described: Jsm | InPagerDuty, name: str, lacking: str
) -> None:
    with pytest.raises(SettingsProblem) as found:
        build_on_call(settings(there, **{name: ""}), {"primary": described})
    assert len(found.value.sentences) == 1
    assert found.value.sentences[0].startswith(f"The on-call source “primary” needs {lacking}")


def test_incidents_are_read_wherever_the_settings_lead(there: StandIn) -> None:
    there.control.issues({"INC-42": {"category": "new"}})
    there.control.incidents(PT4KHLK={"status": "resolved"})
    built = build_incidents(settings(there))
    incidents: Incidents = built
    assert (incidents.state("INC-42"), incidents.state("PT4KHLK")) == ("open", "closed")
    built.close()


def test_nothing_printed_about_the_sources_shows_a_secret(there: StandIn) -> None:
    built = build_on_call(settings(there), {"pd": InPagerDuty("PPRIMARY"), "jsm": Jsm("f8f2a4ec-54b2")})
    incidents = build_incidents(settings(there))
    printed = repr(vars(built)) + repr(vars(incidents))
    for inner in (*built._sources.values(), incidents):
        printed += "".join(f"{value!r}{vars(value)!r}" for value in vars(inner).values() if hasattr(value, "__dict__"))
    assert PAGERDUTY_KEY not in printed
    assert seed.SITE_API_TOKEN not in printed
    built.close()
    incidents.close()
