"""What an approval of a higher tier needs beside the click: the plan was shown, and the subject's name typed."""

import unicodedata

from approvals.models import Vote
from approvals.plan import Plan

SHOWN = "the plan was shown"  # what the form of a medium tier sends along


def not_confirmed(tier: str, vote: Vote, plan: Plan | None) -> str:
    """Why this approval is not confirmed as its tier wants it; empty when it is. Saying no needs nothing.

    A typed name guards against mistakes, not against a stolen Slack account.
    """
    if vote.choice != "approve" or tier == "low":
        return ""
    if tier == "medium":
        return "" if vote.typed else "This needs a look at the plan first: press Approve on the card again."
    if plan is not None and plan.rows and not is_the_name(vote.typed, plan.to_type):
        return "The number that was typed is not that of the accounts in the list, so nothing was approved."
    if plan is None or not is_the_name(vote.typed, plan.to_type):
        return "The name that was typed is not that of the person it is about, so nothing was approved."
    return ""


def is_the_name(typed: str, name: str) -> bool:
    """Whether somebody typed this name; capitals, accents' spelling, spaces and what can't be seen do not matter."""
    return bool(_plain(typed)) and _plain(typed) == _plain(name)


def _plain(text: str) -> str:
    """Without characters that can't be seen: whoever types what a card shows has none of them, or some of ours."""
    seen = "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.casefold().split())
