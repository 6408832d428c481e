"""kill -9 at every crash point: nothing is lost, nothing is done twice, nothing false is said."""

import ast
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.sandbox.slack.control import text_of
from tests.support.living import living
from tests.support.outside import CHANNEL, COMPANY, Bot, between_sandboxes, copied
from tests.support.share import some_of

ADA, MEI = COMPANY.person("ada").account_id, COMPANY.person("mei").account_id
GROUP = "eu-jira-admins"
COMMAND = f"grant {GROUP} for 2h because INC-42: the database is down"
# "look up" passes the same two lines as these
KINDS = (
    "plan",
    "count",
    "apply",
    "end",
    "draw",
    "tell",
    "mirror",
    "wait",
    "preview",
)
FILLS = {
    "what": ("give", "end", "change", "batch", "batch end"),
    "claim.kind": KINDS,
    "kind": ("bulk result", "review events"),
}  # what an f-string label can hold
REFUSED = ("give: refused", "end: refused")  # reached only while Atlassian is in trouble
LABELS = (
    *("ask: committed", "vote: committed", "vote counted"),
    *("plan: before reading", "plan: read", "plan: committed"),
    *("apply: end committed", "apply: read back", "apply: finished"),
    *("book: before writing", "book: written"),
    *("give: intended", "give: called", "give: refused"),
    *("end: intended", "end: called", "end: refused", "end: read back", "end: finished"),
    *("card: before posting", "card: posted", "card: before redrawing", "card: redrawn"),
    *("news: before sending", "news: sent"),
    *("deny: before asking why", "deny: asked why"),
    *("form: before opening", "form: opened", "form: before filling", "form: filled"),
    *(f"{kind}: claimed" for kind in KINDS),
    *(f"{kind}: over" for kind in KINDS),
)
# A command of the shell, killed in tests/bot/test_doctor_probe.py.
# Of other stories: a form, a window or a verb that this one does not have; killed in tests/stories/test_kill_more.py.
OF_OTHERS = (
    *("approve: before showing the plan", "approve: plan shown", "change: before asking", "change: asked"),
    *("change: intended", "change: called", "change: refused", "change: read back", "change: finished"),
    *("proposal: cast", "proposal: judged", "proposal: before showing", "proposal: shown"),
    *("manager: before reading", "manager: read"),
    *("sources: before reading", "sources: read"),
    *("welcome: before looking", "welcome: looked"),
    *("checkpoint: before sending", "checkpoint: sent"),
    *("private: before opening", "private: opened", "private: before filling", "private: filled"),
)
# Of lists, killed in tests/stories/test_kill_bulk.py.
OF_A_LIST = (
    *("bulk: read", "bulk: planned", "bulk: ends committed", "bulk: read back", "bulk: noted", "bulk: finished"),
    *("bulk: row done", "bulk: row failed", "bulk end: begun", "bulk end: read back", "bulk end: noted"),
    *("bulk form: before opening", "bulk form: opened", "bulk file: read"),
    *("bulk rows: before opening", "bulk rows: opened", "bulk page: before drawing", "bulk page: drawn"),
    *("bulk progress: before saying", "bulk progress: said"),
    *("bulk result: before putting up", "bulk result: put up", "bulk result: before sharing", "bulk result: shared"),
    *("batch: intended", "batch: called", "batch: refused"),
    *("batch end: intended", "batch end: called", "batch end: refused"),
)
# Of the audit log, whose reading no story waits for; killed in tests/bot/test_events.py.
OF_THE_LOOP = ("events: read", "events: noted", "events: matched")
# Of the watch over the emergency administrators, killed in tests/bot/test_emergency.py.
OF_THE_WATCH = ("emergency: looked",)
# Of the heartbeat, killed in tests/bot/test_heartbeat.py.
OF_THE_HEART = ("heartbeat: before sending", "heartbeat: sent")
# Of break-glass, killed in tests/stories/test_kill_glass.py.
OF_GLASS = (
    *("glass: asked", "glass: before reading", "glass: read", "glass: committed"),
    *("glass: seconded", "glass: unheard", "review: settled", "review: overdue"),
    *("glass form: before opening", "glass form: opened", "review form: before opening", "review form: opened"),
    *("review: before showing", "review: shown"),
    *("offer: announced", "offer: told"),
)
# Of what Atlassian shows of a use of break-glass, killed in tests/bot/test_review_events.py.
OF_ITS_EVENTS = (
    *("review events: read", "review events: noted", "review events: handed over"),
    *("review events: before putting up", "review events: put up"),
    *("review events: before sharing", "review events: shared"),
)
# Of a record that was lost or put back, killed in tests/stories/test_restore.py.
OF_SAFE_MODE = (
    *("safe mode: read", "safe mode: before opening", "safe mode: opened"),
    *("safe mode: decided", "safe mode: many decided"),
    *("stray: read", "stray: settled", "safe page: before drawing", "safe page: drawn"),
    *("safe mode: leaving", "safe mode: before saying it", "safe mode: said"),
)
# Of many single grants that are over at once, killed in tests/approvals/test_ending_together.py.
OF_A_CROWD = (
    *("group end: begun", "group end: read back", "group end: noted"),
    *("group end: intended", "group end: called", "group end: refused"),
)
OF_THE_PROBE = ("probe: before putting in", "probe: put in", "probe: before taking out", "probe: taken out")
NEVER_LEFT_OUT = ("vote: committed", "give: intended", "give: called")  # between approval, call and its record
AROUND_THE_CALL = ("apply: end committed", "give: called")
LATER_TIMES = (  # the first message is the approval; these are the copies, the result and the end
    *(("card: posted", 2), ("card: redrawn", 2), ("card: redrawn", 4)),
    *(("news: before sending", 2), ("news: sent", 2), ("news: sent", 3), ("news: sent", 4)),
)
HERE = Path(__file__).parents[2]
PRODUCT = [*HERE.glob("approvals/**/*.py"), *HERE.glob("handlers/**/*.py"), *HERE.glob("bot/**/*.py")]


@pytest.fixture(scope="session")
def furnished_file(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with policy, people and a filled mirror, to copy."""
    path = tmp_path_factory.mktemp("furnished") / "gatehouse.db"
    shutil.copy(migrated_file, path)
    with living(f"sqlite:///{path}", works=False):
        pass
    return path


@pytest.fixture
def bot(tmp_path: Path, furnished_file: Path) -> Iterator[Bot]:
    """On SQLite, not started yet."""
    with between_sandboxes(tmp_path / "bot", copied(furnished_file, tmp_path / "bot")) as bot:
        yield bot


@pytest.fixture
def bot_on_postgresql(tmp_path: Path, postgresql_url: str) -> Iterator[Bot]:
    with living(postgresql_url, works=False):
        pass
    with between_sandboxes(tmp_path / "bot", postgresql_url) as bot:
        yield bot


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(LABELS, NEVER_LEFT_OUT))
def test_killed_at_any_point_the_story_ends_as_if_nothing_had_happened(bot: Bot, label: str) -> None:
    if label in REFUSED:
        nth = 1 if label == "give: refused" else 2
        bot.atlassian.fault(method="PATCH", times=nth - 1) if nth > 1 else None
        bot.atlassian.fault(method="PATCH", status=503)
    tell_the_story(bot, "kill", label, "1")
    assert bot.deaths == 1


@pytest.mark.torture
@pytest.mark.parametrize(("label", "nth"), some_of(LATER_TIMES))
def test_killed_while_the_rest_is_told_everything_is_told_all_the_same(bot: Bot, label: str, nth: int) -> None:
    tell_the_story(bot, "kill", label, str(nth))
    assert bot.deaths == 1


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(REFUSED))
def test_killed_when_the_answer_was_lost_the_effect_is_found_and_not_repeated(bot: Bot, label: str) -> None:
    if label == "end: refused":
        bot.atlassian.fault(method="PATCH")  # the first goes well
    bot.atlassian.fault(method="PATCH", lost=True)
    tell_the_story(bot, "kill", label, "1")
    assert bot.deaths == 1


def test_killed_while_atlassian_is_still_answering_the_effect_is_found_and_not_repeated(bot: Bot) -> None:
    bot.atlassian.fault(method="PATCH", delay=30)
    bot.start()
    request = ask_and_approve(bot)
    bot.until(lambda: bot.effects(ADA))
    bot.kill()
    bot.atlassian.clear_faults()
    finish(bot, request)
    assert bot.deaths == 1


@pytest.mark.torture
@pytest.mark.parametrize("label", some_of(AROUND_THE_CALL))
def test_killed_around_the_call_another_start_finishes_it_on_postgresql(bot_on_postgresql: Bot, label: str) -> None:
    """Nobody is the only worker there: what the dead one held is free when its lease has run out."""
    tell_the_story(bot_on_postgresql, "kill", label, "1")
    assert bot_on_postgresql.deaths == 1


def test_the_undisturbed_story_passes_every_crash_point_that_needs_no_trouble(bot: Bot, tmp_path: Path) -> None:
    tell_the_story(bot, "log", str(tmp_path / "labels.txt"))
    assert bot.deaths == 0
    reached = (tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert set(LABELS) - set(reached) == set(REFUSED)
    assert all(reached.count(label) >= nth for label, nth in LATER_TIMES)
    add, remove = bot.effects(ADA)
    assert (add["status"], remove["status"]) == (200, 200)


# -- the story --------------------------------------------------------------------------------------------------------


def tell_the_story(bot: Bot, *crashing: str) -> None:
    """Ada looks and asks, Grace first means to say no and then says yes, two hours pass, then a day."""
    bot.start(*crashing)
    finish(bot, ask_and_approve(bot))


def ask_and_approve(bot: Bot) -> str:
    look_into_the_form(bot)
    request = bot.ask("ada", COMMAND)
    bot.card("ada", request)
    bot.press("grace", request, "deny")
    bot.until(lambda: bot.slack.open_view("grace"))
    bot.slack.close_view("grace", all=True)
    bot.press("grace", request, "approve")
    return request


def look_into_the_form(bot: Bot) -> None:
    """Ada opens the form, sees there what would happen, and prefers to type."""
    bot.insist(lambda: bot.slack.command("ada", "grant", channel=CHANNEL))
    bot.until(lambda: bot.slack.open_view("ada"))
    bot.insist(lambda: choose(bot))
    bot.until(lambda: "What would happen" in text_of(bot.slack.open_view("ada") or {}))
    bot.slack.close_view("ada", all=True)


def choose(bot: Bot) -> dict[str, object]:
    view = bot.slack.open_view("ada")
    assert view is not None
    if not bot.slack.suggest("ada", "entitlement", GROUP, view_id=view["id"]):
        return {"error": "nothing was offered"}
    return bot.slack.click("ada", "entitlement", view_id=view["id"], value=GROUP)


def finish(bot: Bot, request: str) -> None:
    """Wait for the gift and for its end, and look from outside whether all was as it should have been."""
    given = bot.told(request, "is given")
    bot.move_time(timedelta(hours=2, seconds=1))
    over = bot.told(request, "is over")
    bot.move_time(timedelta(hours=25))
    bot.until(lambda: not bot.jobs())
    bot.until(lambda: "Ended" in text_of(bot.card("ada", request)) and "Ended" in text_of(bot.card("grace", request)))

    effects = bot.effects(ADA)
    assert [operation(effect) for effect in effects] == ["add", "remove"]
    added, removed = (datetime.fromisoformat(effect["time"]).timestamp() for effect in effects)
    assert float(given["ts"]) >= added
    assert float(over["ts"]) >= removed
    told = "\n".join(text_of(message) for who in ("ada", "grace", "omar") for message in bot.slack.messages(who))
    assert not [word for word in ("given up", "is refused", "was denied", "Nothing was taken away") if word in told]
    assert bot.atlassian.members(GROUP) == {MEI}
    proof = bot.gatehouse("audit", "verify")
    assert (proof.returncode, proof.stdout.strip()[-6:]) == (0, "whole.")


def operation(effect: dict[str, object]) -> str:
    body = effect["body"]
    assert isinstance(body, dict)
    (one,) = body["Operations"]
    return str(one["op"])


# -- the points themselves --------------------------------------------------------------------------------------------


def test_every_crash_point_of_the_product_is_in_the_list() -> None:
    calls = [call for file in PRODUCT for call in called(ast.parse(file.read_text(encoding="utf-8")), "crash_point")]
    labels = [label for call in calls for label in expanded(call.args[0])]
    others = (*OF_THE_LOOP, *OF_THE_WATCH, *OF_THE_HEART, *OF_GLASS, *OF_ITS_EVENTS, *OF_SAFE_MODE, *OF_THE_PROBE)
    assert sorted(labels) == sorted((*LABELS, *OF_OTHERS, *OF_A_LIST, *OF_A_CROWD, *others))


# Who changes something outside: the directory's one call, and what the bot says in Slack.
OUTWARD = {"perform", "post", "update", "whisper", "open_view", "update_private", "put_up", "share"}
RECEIVERS = {"directory", "slack", "desk", "files"}
THE_STAGE = ("demo", "stage", "story")  # where people play
THE_CLIENTS = {"slack_out.py", "directory.py", "scim.py", "organization.py", "transport.py", "accounts.py", "http.py"}


def test_every_call_that_changes_something_outside_lies_between_two_crash_points() -> None:
    """In its own function, or, when that function is only called between two, in each of its callers."""
    functions: dict[str, ast.FunctionDef] = {}
    for file in PRODUCT:
        if file.name not in THE_CLIENTS and "sandbox" not in file.parts and not file.name.startswith(THE_STAGE):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    functions[f"{file.name}:{node.name}"] = node
    speakers = [name for name, function in functions.items() if outward_calls(function)]
    assert len(speakers) >= 4, "nothing was looked at"
    assert [name for name in speakers if not guarded(functions, name, outward_calls(functions[name]))] == []


def guarded(functions: dict[str, ast.FunctionDef], name: str, calls: list[ast.Call]) -> bool:
    """Whether these calls in a function lie between two points, or every call of the function itself does."""
    if all_between(functions[name], calls):
        return True
    callers = {n: own for n, f in functions.items() if (own := own_calls(f, name.partition(":")[2]))}
    return bool(callers) and all(guarded(functions, caller, own) for caller, own in callers.items())


def called(tree: ast.AST, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def expanded(label: ast.expr) -> list[str]:
    """A literal label, or each that an f-string can make."""
    if isinstance(label, ast.Constant):
        return [str(label.value)]
    assert isinstance(label, ast.JoinedStr)
    found = [""]
    for part in label.values:
        filled = FILLS[ast.unparse(part.value)] if isinstance(part, ast.FormattedValue) else [str(part.value)]  # type: ignore[attr-defined]
        found = [before + more for before in found for more in filled]
    return found


def outward_calls(function: ast.FunctionDef) -> list[ast.Call]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [call for call in calls if call.func.attr in OUTWARD and receiver(call.func) in RECEIVERS]  # type: ignore[attr-defined]


def receiver(function: ast.Attribute) -> str:
    return ast.unparse(function.value).rpartition(".")[2]


def own_calls(function: ast.FunctionDef, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in (name, f"self.{name}")]


def all_between(function: ast.FunctionDef, calls: list[ast.Call]) -> bool:
    points = [call.lineno for call in called(function, "crash_point")]
    return all(any(p < call.lineno for p in points) and any(p > call.lineno for p in points) for call in calls)
