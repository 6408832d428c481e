"""Which incident a message or a channel names: filled in for whoever is in a hurry, typed over where it is wrong."""

import re
from dataclasses import replace

import pytest

from handlers.glass_words import LOOKED_AT, incident_in
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.views import POLICY

assert POLICY.break_glass is not None
JIRA = POLICY  # INC-[0-9]+
ANY_PROJECT = replace(POLICY, break_glass=replace(POLICY.break_glass, incident="[A-Z][A-Z0-9]+-[0-9]+"))
PAGERDUTY = replace(POLICY, break_glass=replace(POLICY.break_glass, incident="#[0-9]+|Q[A-Z0-9]{13}"))
SMALL = replace(POLICY, break_glass=replace(POLICY.break_glass, incident="inc-[0-9]+"))


@pytest.mark.parametrize(
    ("policy", "texts", "found"),
    [
        (JIRA, ["INC-42: the queue is stuck"], "INC-42"),
        (JIRA, ["see (INC-42), please"], "INC-42"),
        (JIRA, ["<https://jira.example/browse/INC-42|INC-42> is open"], "INC-42"),
        (JIRA, ["all is lost", "inc-42-queue-stuck"], "INC-42"),
        (JIRA, ["", "2026-11-23-inc-0042"], "INC-0042"),
        (JIRA, ["inc-40 is over", "INC-42"], "INC-42"),  # as it is written counts before what is put into capitals
        (JIRA, ["INC-41 and INC-42"], "INC-41"),
        (JIRA, ["XINC-42 INC-42x INC-"], ""),
        (JIRA, ["INC 42", "incident"], ""),
        (JIRA, [], ""),
        (ANY_PROJECT, ["the EU-WEST is down", "team-7-inc"], "TEAM-7"),
        (ANY_PROJECT, ["OPS-7 is down", "inc-42"], "OPS-7"),
        (PAGERDUTY, ["#1234 is open"], "#1234"),
        (PAGERDUTY, ["production is down: q1n2o3p4r5s6t7"], "Q1N2O3P4R5S6T7"),
        (SMALL, ["INC-7, inc-8"], "inc-8"),
        (replace(POLICY, break_glass=None), ["INC-42"], ""),
    ],
)
def test_the_first_incident_that_is_named(policy: object, texts: list[str], found: str) -> None:
    assert incident_in(policy, *texts) == found  # type: ignore[arg-type]


def test_whatever_is_written_there_it_is_an_incident_or_nothing() -> None:
    for text in HOSTILE_TEXTS:
        for policy in (JIRA, ANY_PROJECT, PAGERDUTY):
            assert policy.break_glass is not None
            found = incident_in(policy, text, text)
            assert not found or re.fullmatch(policy.break_glass.incident, found), text


def test_a_long_message_is_not_read_to_its_end() -> None:
    assert incident_in(JIRA, "x " * LOOKED_AT + "INC-42") == ""
    assert incident_in(JIRA, "1" * LOOKED_AT + " INC-42") == ""
