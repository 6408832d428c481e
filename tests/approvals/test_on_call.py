"""Those on call become accounts, and a mail address that no single account has becomes nobody's."""

from approvals.on_call import Shift, as_accounts, is_mail

KNOWN = {"ada@harbour.example": "account-ada", "mei@harbour.example": "account-mei"}


def test_an_account_id_stays_and_a_mail_address_is_looked_up() -> None:
    found = as_accounts(["ada@harbour.example", "5b10a2844c20165700ede21g"], KNOWN.get)
    assert found == Shift(frozenset({"account-ada", "5b10a2844c20165700ede21g"}), frozenset())


def test_a_stranger_is_named_and_stands_for_no_account() -> None:
    found = as_accounts(["ada@harbour.example", "ghost@harbour.example"], KNOWN.get)
    assert found == Shift(frozenset({"account-ada"}), frozenset({"ghost@harbour.example"}))


def test_somebody_named_twice_is_one_account() -> None:
    assert as_accounts(["ada@harbour.example", "account-ada"], KNOWN.get).accounts == {"account-ada"}


def test_nobody_is_nobody() -> None:
    assert as_accounts([], KNOWN.get) == Shift(frozenset(), frozenset())


def test_only_a_mail_address_has_an_at_sign() -> None:
    assert is_mail("ada@harbour.example")
    assert not is_mail("712020:e19eff6d-0000-4000-8000-000000000001")
