"""Those on call as accounts: what a source tells is an account id or a mail address."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Shift:
    """Those on call as the decisions know them. ``strangers``: mail addresses that no single account has."""

    accounts: frozenset[str]
    strangers: frozenset[str]


def is_mail(identity: str) -> bool:
    """An account id has no @ in it."""
    return "@" in identity


def as_accounts(identities: Iterable[str], account_with: Callable[[str], str | None]) -> Shift:
    """The accounts behind ``identities``; ``account_with`` knows whose a mail address is.

    Strangers are told apart and never guessed, so that whoever asks can say why there are fewer people than expected.
    """
    accounts, strangers = set(), set()
    for identity in identities:
        account = account_with(identity) if is_mail(identity) else identity
        if account is None:
            strangers.add(identity)
        else:
            accounts.add(account)
    return Shift(frozenset(accounts), frozenset(strangers))
