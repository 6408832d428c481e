"""Each hostile text in each foreign field of each thing the bot shows: nothing of it lives, and Slack takes it."""

import ast
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from approvals.breaking import DRILL
from approvals.facts import AccountFacts, Held, Holder, TokenFacts
from approvals.glass import Wanted
from approvals.models import (
    AuditEntry,
    Call,
    Drift,
    EventRead,
    Grant,
    Proposal,
    ProposalVote,
    Review,
    ReviewRead,
    SafeMode,
    Stray,
)
from approvals.plan import Survey
from approvals.states import Grant as GrantStatus
from approvals.states import Status
from approvals.workflow import Click
from bot.previews import plan_shown
from handlers import breakglass, change, confirm
from handlers.administration import draw_proposal
from handlers.cards import draw
from handlers.news import SENTENCES, draw_news
from handlers.private import draw_private
from handlers.private_lines import (
    how_to_delete_tokens,
    lines_of_account,
    lines_of_holders,
    lines_of_record,
    lines_of_tokens,
)
from handlers.request_form import LONGEST_NAME, TITLES, Filled, draw_form, hints
from handlers.review import ReviewView, draw_review, draw_verdict
from handlers.safe_mode import Window, draw_window
from tests.handlers import mrkdwn, slack_limits
from tests.handlers.hostile_texts import HOSTILE_TEXTS
from tests.handlers.mrkdwn import insist_it_can_be_sent, insist_nothing_foreign_lives
from tests.handlers.slack_limits import beyond_in_view
from tests.handlers.views import AUDIT_LOG, FACTS, FIELDS, NOON, ORDINARY, POLICY, every_view, news_of, view_with
from tests.support.share import some_of

CLICK = Click("REQ-23456789ab", 2, "approve", "T0", "U0", "C0", "source")
PLACES = ("thread", "person", "operators", "security")


@dataclass
class Shown:
    """A message, or a view with the title as its text."""

    text: str
    blocks: list[dict[str, Any]]
    view: dict[str, Any] | None = None


def of_view(view: dict[str, Any]) -> Shown:
    return Shown(view.get("title", {"text": "x"})["text"], view["blocks"], view)


def cards(text: str, only: str) -> Iterator[Shown]:
    for view in every_view(text, only=only):
        drawing = draw(view, buttons=True)
        yield Shown(drawing.text, [block for block in drawing.blocks if block["type"] != "rich_text"])


def news(kind: str) -> Callable[[str, str], Iterator[Shown]]:
    def drawn(text: str, only: str) -> Iterator[Shown]:
        fact = only.removeprefix("fact ") if only.startswith("fact ") else "none" if only else ""
        incident = text if only in ("", "reason") else ORDINARY
        for verb in ("grant", "offboard"):
            more = {"verb": verb, "value": incident if verb == "grant" else ""}
            view = view_with(text, Status.DONE, grant=GrantStatus.ACTIVE, only=only or "", **more)
            for place in PLACES:
                drawing = draw_news(news_of(kind, text, place, fact), view, audit_log=AUDIT_LOG)
                yield Shown(drawing.text, drawing.blocks)

    return drawn


def forms(text: str, only: str) -> Iterator[Shown]:
    view = view_with(text, only=only)
    assert view.rule is not None
    for tier in ("medium", "high"):
        tiered = type(view)(**{**vars(view), "rule": type(view.rule)(**{**fields(view.rule), "tier": tier})})
        yield of_view(confirm.draw_confirmation(tiered, CLICK))
    yield of_view(change.draw_change(view, CLICK))
    name = text if only in ("", "name") else ORDINARY
    reason = text[:1000] if only in ("", "reason") else ORDINARY
    for verb in TITLES:
        filled = Filled("712020:ada", name, "eu-jira-admins", "2h", reason, verb=verb, name=name[:LONGEST_NAME])
        if not filled.fits:
            filled = Filled("712020:ada", name, "eu-jira-admins", verb=verb)
        yield of_view(draw_form(filled, [*hints(POLICY, filled), *plan_shown(verb, survey_with(text, only))]))


def survey_with(text: str, only: str) -> Survey:
    """What Atlassian showed, as the form's plan has it."""
    view = view_with(text, only=only)
    assert view.plan is not None
    return Survey(**{key: getattr(view.plan, key) for key in Survey.model_fields} | {"holds": True})


def fields(rule: Any) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in type(rule).__dataclass_fields__}


def private(text: str, only: str) -> Iterator[Shown]:
    def at(field: str) -> str:
        return text if only in ("", field) else ORDINARY

    about = AccountFacts(
        account="712020:ada", name=at("name"), mail=at("mail"), status=at("words"), membership="active", managed=True,
        owner=at("words"), groups=(Held(at("group"), at("words")),), roles=(Held(at("words"), at("words")),),
        products=(at("group"),), protected=at("because"),
    )  # fmt: skip
    grant = Grant(request_id="REQ-1", account="712020:ada", entitlement="e", holding="h", status="active",
                  held_before=False, promised_at=NOON, ends_at=NOON)  # fmt: skip
    entitlement = POLICY.entitlements[0]
    lines = [
        lines_of_account(about, [grant]),
        lines_of_tokens([TokenFacts("t1", at("words"), NOON, None, None)]),
        lines_of_holders(
            entitlement,
            [Holder("712020:ada", at("name"), at("mail"), True, at("words"))],
            True,
            {},
            [a_drift("712020:ada", "left over"), a_drift("712020:mei", "missing")],
            {"712020:mei": at("name")},
        ),
        how_to_delete_tokens(at("mail")),
        lines_of_record([an_entry(at("words"))], {"712020:ada": at("name")}),
    ]
    for kind, some in zip(("whois", "tokens", "who", "tokens", "audit"), lines, strict=True):
        assert beyond_in_view(draw_private(kind, "private:x", some)) == []
        for line in some:  # longer words need more sections, and no more lines
            yield of_view(draw_private(kind, "private:x", [line]))


def a_drift(account: str, kind: str) -> Drift:
    return Drift(
        grant_id=1, request_id="REQ-1", entitlement="e", account=account, kind=kind, state="open", first_seen_at=NOON
    )  # fmt: skip


def an_entry(words: str) -> AuditEntry:
    data = {"entitlement": words, "duration": 7200, "approvers": ["712020:ada", words], "seat": "712020:ada"}
    body = {"actor": "712020:ada", "at": NOON.isoformat(), "data": data}
    return AuditEntry(seq=7, prev="p", hash="h", body=json.dumps(body), event="request.asked", request_id="REQ-1")


def proposals(text: str, only: str) -> Iterator[Shown]:
    def at(field: str) -> str:
        return text if only in ("", field) else ORDINARY

    for status in ("open", "agreed", "rejected", "lapsed"):
        proposal = Proposal(
            id="PRO-1", kind="policy", body="{}", shown=at("words").replace("\n", " "), needs=2, by="712020:ada",
            status=status, at=NOON, lapses_at=NOON, because=at("because"),
        )  # fmt: skip
        votes = [ProposalVote(proposal_id="PRO-1", account="712020:mei", choice="agree", at=NOON)]
        drawing = draw_proposal(proposal, votes, {"712020:ada": at("name"), "712020:mei": at("name")})
        yield Shown(drawing.text, drawing.blocks)


def reviews(text: str, only: str) -> Iterator[Shown]:
    """The card in each state, and the form."""
    said = text if only in ("", "reason") else ORDINARY
    name = text if only in ("", "name") else ORDINARY
    for status in ("due", "overdue", "settled"):
        review = Review(
            request_id="REQ-23456789ab", person="712020:ada", status=status, opened_at=NOON, due_at=NOON,
            verdict="misuse" if status == "settled" else "", reason=said, settled_at=NOON, drill=status == "due",
        )  # fmt: skip
        for grant in (None, GrantStatus.ACTIVE, GrantStatus.ENDED):
            view = view_with(text, Status.DONE, grant=grant, only=only, value=said)
            answer = text if only in ("", "answer") else ORDINARY
            calls = [Call(step_id=1, method="PATCH", path="/Groups/g1", intended_at=NOON, answer=answer)] * 30
            for found in (None, 0, 3):
                read = ReviewRead(request_id=review.request_id, found=found, read_at=NOON, trouble=answer)
                drawing = draw_review(ReviewView(review, view, calls, name, read, {1: answer}))
                yield Shown(drawing.text, drawing.blocks)
        yield of_view(draw_verdict(review, "source"))


def glass_forms(text: str, only: str) -> Iterator[Shown]:
    reason, words, about = (text if only in ("", field) else ORDINARY for field in ("reason", "words", "about"))
    for incident in (words, DRILL):
        yield of_view(breakglass.draw_form(POLICY, POLICY.entitlements[0], Wanted("x", incident, reason, "source")))
    several = tuple(replace(one, break_glass=True, about=about) for one in POLICY.entitlements)
    policy = replace(POLICY, entitlements=several)
    yield of_view(breakglass.draw_form(policy, None, Wanted("", words, reason, "source", "C0ACCESS01", "1.2")))


def safe_mode_windows(text: str, only: str) -> Iterator[Shown]:
    """With everybody who may be in it, and with nobody."""

    def at(field: str) -> str:
        return text if only in ("", field) else ORDINARY

    mode = SafeMode(id=1, at=NOON, why=at("because"), lost_from=NOON, read_at=NOON)
    ways = (("outside", NOON), ("outside", None), ("event", None), ("none", None))
    rows = [
        Stray(
            id=number, safe_mode_id=1, entitlement=at("group"), account="712020:ada", evidence=evidence,
            request=at("words"), ends_at=ends_at, event=at("words"), state=state, trouble=at("reason"),
        )
        for number, ((evidence, ends_at), state) in enumerate(product(ways, ("open", "deciding")), 1)
    ]  # fmt: skip
    event = EventRead(id=at("words"), action="user_added_to_group", at=NOON, about="[]", says=at("about"))
    for some, events, waits in ((rows, [event] * 9, at("because")), ([], [], "")):
        window = Window(
            mode, 1, some, len(some) * 9, {"left": 1}, 2 * len(some), {POLICY.entitlements[0].name: 3}, events, waits,
            {"712020:ada": at("name")}, {"712020:ada": at("mail")}, at("words"),
        )  # fmt: skip
        yield of_view(draw_window(window, POLICY, NOON, "safe:x"))


SHOWN: dict[str, Callable[[str, str], Iterator[Shown]]] = {
    "cards": cards, "forms": forms, "private answers": private, "proposals": proposals,
    "reviews": reviews, "glass forms": glass_forms, "safe mode": safe_mode_windows,
    **{f"news {kind}": news(kind) for kind in SENTENCES},
}  # fmt: skip


def shown_fields(what: str) -> list[str]:
    """The fields of which anything stands in it: with another word in one of the others it looks as before."""
    facts = [f"fact {fact}" for fact in FACTS[what.removeprefix("news ")]] if what.startswith("news ") else []
    ordinary = list(SHOWN[what](ORDINARY, ""))
    return [only for only in (*FIELDS, *facts) if list(SHOWN[what]("quite another word", only)) != ordinary]


@pytest.mark.torture
@pytest.mark.parametrize("what", SHOWN)
def test_nothing_foreign_lives_in_any_field_of_it(what: str) -> None:
    harmless = list(SHOWN[what](ORDINARY, ""))
    fields = ("", *shown_fields(what))  # all of them at once, and each by itself
    for text in some_of(HOSTILE_TEXTS):
        if not text.encode("utf-8", "ignore").decode().strip():
            continue  # nothing of it is stored
        for only in fields:
            for drawing, ordinary in zip(SHOWN[what](text, only), harmless, strict=True):
                if drawing.view:
                    assert beyond_in_view(drawing.view) == [], (text, only)
                insist_it_can_be_sent(drawing)
                insist_nothing_foreign_lives(drawing, ordinary)


@pytest.mark.parametrize(
    ("what", "some"),
    [("cards", {"reason", "name"}), ("private answers", {"mail", "group", "words", "because"}),
     ("safe mode", {"mail", "about"}), ("news no_card", {"fact why"})],
)  # fmt: skip
def test_each_field_that_stands_in_it_is_tried_by_itself(what: str, some: set[str]) -> None:
    assert some <= set(shown_fields(what))


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(set(HOSTILE_TEXTS)) >= 300
    assert max(map(len, HOSTILE_TEXTS)) >= 10_000


@pytest.mark.parametrize("module", [mrkdwn, slack_limits])
def test_what_reads_messages_knows_nothing_of_the_bot(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported - {"tests.handlers.slack_limits"}} <= set(
        sys.stdlib_module_names
    )
