"""/access help: the menu by purpose, what this person may ask for, and each command or entitlement explained alone."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from approvals.cases import can_ask
from approvals.glass_facts import glass_people
from approvals.policy import Entitlement, Policy, Rule, listed, say_duration
from approvals.policy import Person as Speaker
from handlers import verbs
from handlers.command import BREAKGLASS, VERBS, is_breakglass
from handlers.desk import Desk, Said
from handlers.manual import GROUPS, Page, page_of, seen_by
from handlers.text import esc, packed, sentence, within

LONGEST_TEXT = 3900  # of a message's text, which is for those who see no blocks
MOST_BLOCKS = 45  # a message has 50 at most
LISTED = 30  # entitlements under the command that asks for them

HOW = (
    "`/access` alone opens a form. Words may come in any order, and what is missing is asked. "
    "To *answer*, press Approve or Deny on the card in your direct messages, in its channel, or in App Home. "
    "`/access help grant` explains one of these, with an example."
)
IN_AN_INCIDENT = (
    f"*In an incident*\n`{BREAKGLASS}` takes access at once, and answers for it afterwards: everybody it bypasses "
    "hears of it. `/access help breakglass` says more."
)
Drawn = dict[str, object]


def draw_help(desk: Desk, speaker: Speaker, said: Said, menu: Mapping[str, str]) -> Drawn:
    """The whole menu, or the one thing that was named; ``menu`` is each command with its line."""
    with desk.store.read() as session:
        policy = desk.policy(session)
        about = said.command.entitlement
        if about:
            return help_message(list(_about(policy, about, menu)))
        now = desk.store.time_in(session)
        offered = can_ask(session, policy, policy.entitlements, speaker, speaker.account, now)
        glass = [IN_AN_INCIDENT] if speaker.account in glass_people(session, policy, now) else []
    return help_message([HOW, *_menu(policy, speaker, menu), *glass, *_offered(policy, offered)])


def help_message(paragraphs: list[str]) -> Drawn:
    """Blocks hold all of it, whole lines to a section; the text is the same, as far as it has room."""
    lines = "\n\n".join(paragraphs).split("\n")
    texts = [text for paragraph in paragraphs for text in packed(paragraph.split("\n"))]
    blocks = [_section(text) for text in texts[:MOST_BLOCKS]]
    if len(texts) > MOST_BLOCKS:
        blocks.append(_section("… and more; `/access` lists the rest while you type."))
    return {"text": within(lines, LONGEST_TEXT), "blocks": blocks}


def _menu(policy: Policy, speaker: Speaker, menu: Mapping[str, str]) -> Iterator[str]:
    """One paragraph for each purpose, one line for each command that is for them."""
    shown = [verb for verb in menu if verbs.is_for(policy, speaker, verb)]
    for group in GROUPS:
        lines = [f"`{VERBS[verb]}` {menu[verb]}" for verb in shown if page_of(verb).group == group]
        if lines:
            yield "\n".join([f"*{group}*", *lines])


def _offered(policy: Policy, offered: list[Rule]) -> Iterator[str]:
    lines = [f"`{e.name}` {esc(e.about)}" for e in policy.entitlements if e in offered]
    yield "\n".join(["*What you may ask for*", *(lines or ["Nothing that the policy lets you ask for yourself."])])


# -- one thing explained ----------------------------------------------------------------------------------------------


def _about(policy: Policy, named: str, menu: Mapping[str, str]) -> Iterator[str]:
    verb = named.casefold()
    entitlement = policy.entitlement(named)
    if verb in menu:
        yield from _command(policy, verb, menu[verb])
    elif entitlement is not None:
        yield from _entitlement(entitlement)
    elif is_breakglass(named):
        yield from _breakglass(policy)
    else:
        near = difflib.get_close_matches(verb[:40], menu, 2, 0.6) or policy.nearest(named)[:2]
        hint = f" Did you mean {' or '.join(f'`/access help {one}`' for one in near)}?" if near else ""
        yield f"“{esc(named, 60)}” is no command and no entitlement.{hint} `/access help` lists all of them."


def _command(policy: Policy, verb: str, says: str) -> Iterator[str]:
    page = page_of(verb)
    yield f"`{VERBS[verb]}`\n{sentence(says[:1].upper() + says[1:])} {page.more}".strip()
    yield "\n".join(_who(policy, verb, page))
    if page.example:
        yield f"*For example:* `{page.example}`"


def _who(policy: Policy, verb: str, page: Page) -> Iterator[str]:
    """Who may and who answers: in the words of the policy in force where it decides."""
    rule = policy.verbs.get(verb)
    if verb == "grant":
        yield "*Who may ask and who answers* is said by each entitlement:"
        yield from (f"• `{e.name}`: {_answered(e)}" for e in policy.entitlements[:LISTED])
        if len(policy.entitlements) > LISTED:
            yield f"… and {len(policy.entitlements) - LISTED} more: `/access help entitlement` explains one."
    elif rule is not None:
        yield f"*Who may:* {page.who_may}" if verb == "tokens" else f"*Who may ask:* {_askers(rule)}"
        yield f"*Who answers:* {_answered(rule)}"
    elif page.answers and verb in verbs.DOES:
        yield f"*Who may ask:* nobody: the policy has no table [verbs.{verb}]. An admin can add it."
    else:
        yield f"*Who may:* {page.who_may}"
        if page.answers:
            yield f"*Who answers:* {page.answers}"
    if seen := seen_by(verb):
        yield f"*Who sees it:* {seen}"


def _entitlement(entitlement: Entitlement) -> Iterator[str]:
    yield f"*{entitlement.name}*\n{esc(entitlement.about)}"
    most = say_duration(entitlement.longest)
    longest = most if entitlement.longest is None else f"{most} at most"
    yield "\n".join(
        [
            f"*Who may ask:* {_askers(entitlement)}",
            f"*Who answers:* {_answered(entitlement)}",
            f"*For how long:* {longest}",
        ]
    )
    if entitlement.removal_only:
        yield f"It is only taken away: `/access revoke @who {entitlement.name} because …`"
    else:
        yield f"*For example:* `/access grant {entitlement.name} for 2h because …`"


def _breakglass(policy: Policy) -> Iterator[str]:
    """What the command for emergencies is, and whom the policy lets use it."""
    yield (
        f"`{BREAKGLASS}`\nTakes access first, in an incident, and answers for it afterwards: everybody it bypasses "
        "hears of it at the same moment and can end it, and it is reviewed. It is typed by itself, without `/access`."
    )
    glass = policy.break_glass
    names = listed([f"`{one.name}`" for one in policy.entitlements if one.break_glass]) or "nothing"
    yield "\n".join(
        [
            f"*Who may:* {esc(listed([source.said for source in glass.who])) if glass else 'nobody'}",
            f"*What may be taken:* {names if glass else 'nothing'}",
        ]
    )


def _askers(rule: Rule) -> str:
    own = listed([source.said for source in rule.who_may_ask]) if rule.who_may_ask else "nobody"
    others = listed([source.said for source in rule.ask_for_others]) if rule.ask_for_others else "nobody"
    return f"for oneself {esc(own)}; for somebody else {esc(others)}"


def _answered(rule: Rule) -> str:
    """The stages, how many of each, and what the tier wants."""
    stages = []
    for stage in rule.stages:
        asked = esc(listed([source.said for source in stage.sources]))
        number = f"{stage.approvals} of " if stage.approvals > 1 else ""
        stages.append(f"{number}{asked}{', each from another of them' if stage.different_groups else ''}")
    said = ", then ".join(stages)
    if rule.tier == "high":
        said += f"; the name is typed, and {say_duration(rule.pause)} pass before anything is done"
    return said


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
