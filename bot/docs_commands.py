"""docs/commands.md and the README's table of commands, made from the menu and its manual."""

from collections.abc import Iterable

from handlers.command import VERBS
from handlers.glass_words import USAGE
from handlers.manual import GROUPS, Page, page_of, seen_by
from handlers.routes import COMMANDS

BEGIN, END = "<!-- commands: made by `gatehouse docs readme` -->", "<!-- commands: end -->"
TOP = """\
# Commands

Made from the menu by `gatehouse docs commands > docs/commands.md`; a test holds it equal. In Slack, `/access help` \
prints the same menu and `/access help NAME` one command or entitlement, with the rule of the policy in force.

`/access` alone opens the request form. Words may come in any sensible order, straight and curly quotes are honoured, \
and `for`, `because`, `to` and `from` may be left out where the meaning is clear. What is missing opens the form; what \
is wrong gets an answer that says what was understood and what to type. Slash commands don't work in threads: the card \
carries Status, Cancel, Extend and End, `@Gatehouse status` is answered in a card's thread, and App Home has the same \
buttons for all that is yours.

A *quiet* command is not seen by whom it is about before the deed: its card stands in the private channel of the \
policy, and no message, Home, `mine`, `status` or `audit` of theirs shows it. A request that one may not see answers \
like one that does not exist.

`/breakglass entitlement incident INC-42 because …` is a command of its own: in an incident somebody takes access \
first and answers for it afterwards. Alone it opens the form, and so does *Break glass here* on a message. \
[break-glass.md](break-glass.md) says who may, who hears of it and what is promised.
"""


def commands_page() -> str:
    """The whole of docs/commands.md."""
    return TOP + "".join(_group(group) for group in GROUPS)


def readme_table() -> str:
    """The README's table between its two markers."""
    rows = ["| `/access` | opens the request form, with the plan filled in while one types |"]
    rows += [
        f"| {_cell(f'`{USAGE}`')} | takes it first in an incident; everybody it bypasses hears of it and can end it |"
    ]
    rows += [f"| {_cell(f'`{VERBS[verb]}`')} | {_cell(COMMANDS[verb].says)} |" for verb in _in_order()]
    return "\n".join([BEGIN, "", "| command | what it does |", "| --- | --- |", *rows, "", END]) + "\n"


def in_readme(readme: str) -> str:
    """The README with its table made anew; ``ValueError`` when a marker is missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise ValueError("the README has lost a marker of its table of commands")
    return before + readme_table() + after


def _in_order() -> Iterable[str]:
    return [verb for group in GROUPS for verb in COMMANDS if page_of(verb).group == group]


def _group(group: str) -> str:
    verbs = [verb for verb in COMMANDS if page_of(verb).group == group]
    return f"\n## {group}\n" + "".join(_command(verb, page_of(verb)) for verb in verbs)


def _command(verb: str, page: Page) -> str:
    says = COMMANDS[verb].says
    lines = [f"\n### {verb}\n", f"`{VERBS[verb]}`\n", f"{says[:1].upper()}{says[1:]}. {page.more}".strip() + "\n"]
    facts = {
        "who may": page.who_may,
        "who answers": page.answers or "nobody; it needs no approval",
        "API used": page.api,
        "who sees it": seen_by(verb),
    }
    lines += [f"- {title}: {fact}" for title, fact in facts.items() if fact]
    lines += [f"\n```\n{page.example}\n```"] if page.example else []
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
