"""What an approval binds."""

import pytest
from pydantic import ValidationError

from approvals.plan import Plan, Step, Survey, canonical

STEP = Step(
    does="add_member", owner="scim:d1", target="g1", target_name="eu-jira-admins", account="a1", member="m1",
    api="SCIM", method="PATCH", path="/scim/directory/d1/Groups/g1", words="add Ada to eu-jira-admins",
)  # fmt: skip
SURVEY = Survey(steps=(STEP,), holds=False, subject_name="Ada", subject_mail="ada@example", warnings=("nearly full",))
PLAN = Plan.of(verb="grant", subject="a1", entitlement="eu-jira-admins", duration=7200, survey=SURVEY)

OTHER_STEPS = {
    "does": "remove_member",
    "owner": "scim:d2",
    "target": "g2",
    "target_name": "eu-jira-users",
    "account": "a2",
    "member": "m2",
    "api": "Organizations",
    "method": "POST",
    "path": "/elsewhere",
    "value": "atlassian/user",
    "optional": True,
}
OTHER_PLANS = {"verb": "revoke", "subject": "a2", "entitlement": "eu-confluence-admins", "duration": 7201}
ONLY_INFORM = {"warnings": (), "subject_name": "Eda", "subject_mail": "eda@example", "holds": True, "lines": ("a",)}
OF_A_LIST = {"rows": "another digest", "accounts": 2, "two_admins": True}


def with_step(**changed: object) -> Plan:
    return PLAN.model_copy(update={"steps": (STEP.model_copy(update=changed),)})


@pytest.mark.parametrize("field", OTHER_PLANS)
def test_the_hash_covers_what_is_done_to_whom(field: str) -> None:
    assert PLAN.model_copy(update={field: OTHER_PLANS[field]}).hash != PLAN.hash


@pytest.mark.parametrize("field", OTHER_STEPS)
def test_the_hash_covers_each_step(field: str) -> None:
    assert with_step(**{field: OTHER_STEPS[field]}).hash != PLAN.hash


def test_the_hash_covers_how_many_steps_there_are_and_their_order() -> None:
    other = STEP.model_copy(update={"target": "g2"})
    hashes = {PLAN.model_copy(update={"steps": steps}).hash for steps in [(STEP, other), (other, STEP), (STEP,), ()]}
    assert len(hashes) == 4


def test_until_revoked_is_not_no_time_at_all() -> None:
    assert PLAN.model_copy(update={"duration": None}).hash != PLAN.model_copy(update={"duration": 0}).hash


@pytest.mark.parametrize("field", OF_A_LIST)
def test_of_a_list_the_hash_covers_its_rows_too(field: str) -> None:
    a_list = PLAN.model_copy(update={"rows": "a digest", "accounts": 1})
    assert a_list.model_copy(update={field: OF_A_LIST[field]}).hash != a_list.hash


@pytest.mark.parametrize("field", ONLY_INFORM)
def test_the_hash_leaves_out_what_only_informs(field: str) -> None:
    assert PLAN.model_copy(update={field: ONLY_INFORM[field]}).hash == PLAN.hash


def test_a_sentence_reworded_is_not_a_changed_plan() -> None:
    assert with_step(words="put Ada into eu-jira-admins").hash == PLAN.hash


def test_every_field_is_known_to_be_bound_or_to_only_inform() -> None:
    """Whoever adds a field decides which of both it is."""
    assert set(Plan.model_fields) == {*OTHER_PLANS, *ONLY_INFORM, *OF_A_LIST, "steps"}
    assert set(Step.model_fields) == {*OTHER_STEPS, "words"}


def test_a_plan_read_back_from_the_record_has_its_hash() -> None:
    assert Plan.model_validate_json(PLAN.model_dump_json()).hash == PLAN.hash


def test_a_stored_plan_with_anything_more_in_it_is_refused() -> None:
    with pytest.raises(ValidationError):
        Plan.model_validate({**PLAN.model_dump(), "approved": True})
    with pytest.raises(ValidationError):
        Step.model_validate({**STEP.model_dump(), "also": "everything"})


def test_a_holding_is_the_same_whatever_entitlement_or_account_named_it() -> None:
    assert STEP.holding == "scim:d1/groups/g1"
    for field in set(OTHER_STEPS) - {"owner", "target"}:
        assert STEP.model_copy(update={field: OTHER_STEPS[field]}).holding == STEP.holding
    role = STEP.model_copy(update={"does": "assign_role", "owner": "org", "target": "ari:x", "value": "atlassian/user"})
    assert role.holding == "org/roles/atlassian/user/ari:x"
    assert role.model_copy(update={"does": "revoke_role"}).holding == role.holding
    assert role.model_copy(update={"value": "atlassian/admin"}).holding != role.holding
    assert STEP.model_copy(update={"owner": "scim:d2"}).holding != STEP.holding
    assert STEP.model_copy(update={"target": "g2"}).holding != STEP.holding


def test_there_is_one_way_to_write_a_value() -> None:
    assert canonical({"b": [1, None, True], "a": "é"}) == '{"a":"é","b":[1,null,true]}'.encode()
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
