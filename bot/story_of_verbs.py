"""The story's other verbs: longer, a newcomer, an address, a theft, a leaver, a list, admins, looks, a freeze."""

from datetime import timedelta

from bot.sandbox import seed
from bot.sandbox.slack.control import text_of
from bot.stage import Stage, held_by, plain
from handlers.cards import NOUNS

LEFT = ("person020", "person024")


def tell_every_verb(stage: Stage) -> None:
    """Each of them once, after the main job was told."""
    changing(stage)
    arriving(stage)
    renaming(stage)
    stealing(stage)
    leaving(stage)
    listing(stage)
    abdicating(stage)
    looking(stage)
    freezing(stage)


def changing(stage: Stage) -> None:
    stage.title("Ada holds it longer, gives it back early, and a role is given and taken")
    held = stage.given("ada", "eu-jira-admins", "for 2h", "grace")
    longer = stage.asks("ada", f"extend {held} for 1h because INC-42: it is not over yet")
    stage.approves("grace", longer)
    stage.until(lambda: stage.finished("ada", longer))
    for request in (longer, held):
        stage.types("ada", f"end {request}")
    stage.until(lambda: not held_by(stage, "ada"))
    stage.expect(not held_by(stage, "ada"), "given back before its time, Atlassian says that Ada is out of the group")
    given = stage.given("ada", "jira-basic", "for 2h", "grace")
    stage.expect(stage.finished("ada", given), "a role on the site is given directly")
    taken = stage.asks("grace", f"revoke jira-basic from ada@{seed.DOMAIN} because HR-15: another job")
    stage.approves("omar", taken)
    stage.sees("grace", "the removal of `jira-basic` from Ada Ferreira is done.", "Grace, directly")
    stage.expect(stage.finished("grace", taken), "and taken again")


def arriving(stage: Stage) -> None:
    stage.title("Zoë starts today: Kofi asks for an account, and for what she is to have")
    typed = f'provision zoe@{seed.DOMAIN} "Zoë Lind" with eu-confluence-admins because HR-12: she starts today'
    request = stage.asks("kofi", typed)
    stage.approves("omar", request)
    welcome = stage.sees("kofi", "is here", "Kofi, directly")
    stage.expect(
        "asks for `eu-confluence-admins`" in text_of(welcome), "what she is to have is asked for by its own rule"
    )
    made = [call for call in stage.atlassian.ledger(writes=True) if call["path"].endswith("/Users")]
    stage.expect(len(made) == 1, "by one call to the SCIM directory that is ours")


def renaming(stage: Stage) -> None:
    stage.title("Orla married: her address changes, she is told, and the pause would let her stop it")
    request = stage.asks("kofi", f"email orla@{seed.DOMAIN} orla.lind@{seed.DOMAIN} because HR-14: she married")
    for who in ("omar", "ingrid"):
        stage.approves(who, request)
    stage.sees("orla", "the change of address of Orla Byrne is approved, and nothing is done before", "Orla, directly")
    stage.passes(timedelta(minutes=6))
    stage.sees("kofi", "the change of address of Orla Byrne is done.", "Kofi, directly")
    address = stage.atlassian.account(seed.company().person("orla").account_id)["email"]
    stage.expect(address == f"orla.lind@{seed.DOMAIN}", "Atlassian has the new address")


def stealing(stage: Stage) -> None:
    stage.title("Nadia's laptop is stolen: suspended first, her API tokens deleted, then restored")
    nadia = seed.company().person("nadia")
    for verb, reason in (("suspend", "INC-43: a stolen laptop"), ("tokens", "INC-43: whatever was on it"),
                         ("restore", "INC-43: she has a new one")):  # fmt: skip
        delete = " delete" if verb == "tokens" else ""
        request = stage.asks("sade", f"{verb} {nadia.email}{delete} because {reason}")
        stage.approves("omar", request)
        stage.sees("sade", f"the {NOUNS[verb]} of Nadia", "Sade, directly")
        stage.until(lambda request=request: stage.finished("sade", request))  # type: ignore[misc]
    stage.expect(stage.atlassian.account(nadia.account_id)["tokens"] == [], "she has no API token any more")


def leaving(stage: Stage) -> None:
    stage.title("Tomáš leaves the company, and must not see it before it is done")
    tomas = seed.company().person("tomas")
    held = stage.given("tomas", "release-managers", "for 8h", "grace")
    stage.atlassian.make_token(tomas.account_id, label="made in the last moment", late=True)
    request = stage.asks("kofi", f"offboard {tomas.email} because HR-7: the contract is over")
    for who in ("grace", "omar"):
        stage.approves(who, request, show=who == "grace")
    stage.sees("grace", "the offboarding of Tomáš Novák is approved, and nothing is done before", "Grace, directly")
    seen = "\n".join(text_of(message) for message in stage.slack.messages("tomas"))
    stage.expect(request not in seen and "offboarding" not in seen, "Tomáš has seen nothing of it")
    stage.passes(timedelta(minutes=6))
    proof = stage.sees("kofi", "the offboarding of Tomáš Novák is done.", "Kofi, directly")
    account = stage.atlassian.account(tomas.account_id)
    stage.expect(not account["active"], "Atlassian says that his account is deactivated")
    stage.expect(account["tokens"] == [], "and that he has no API token any more, the one made meanwhile included")
    stage.expect(held in text_of(proof), "the proof names the grant that ended with it")
    stage.title("It was a mistake: Tomáš comes back")
    back = stage.asks("sade", f"reactivate {tomas.email} because HR-8: he stays after all")
    for who in ("grace", "omar"):
        stage.approves(who, back, show=who == "grace")
    stage.sees("sade", "the reactivation of Tomáš Novák is approved, and nothing is done before", "Sade, directly")
    stage.passes(timedelta(minutes=6))
    stage.sees("sade", "the reactivation of Tomáš Novák is done.", "Sade, directly")
    stage.expect(stage.atlassian.account(tomas.account_id)["active"], "Atlassian lets him in again")


def listing(stage: Stage) -> None:
    stage.title("Two more have left: Kofi hands in a list, in which one line is wrong")
    lines = ["person,action,reason", *(f"{who}@{seed.DOMAIN},deactivate,HR-16: left in October" for who in LEFT)]
    stage.types("kofi", "bulk")
    view = stage.until(lambda: stage.slack.open_view("kofi"))
    file = stage.slack.attach("kofi", "left.csv", "\n".join([*lines, "nobody@nowhere.example,deactivate,HR-16: left"]))
    stage.slack.submit(
        "kofi", view["id"], {"file": {"file": [file]}, "reason": {"reason": "HR-16: who left in October"}}
    )
    stage.line("Kofi", f"chooses a file with {len(lines)} lines")
    request = stage.until(lambda: stage.list_asked("omar"))
    for who in ("omar", "ingrid"):
        stage.approves(who, request, show=who == "omar")
    stage.until(lambda: stage.waits_for_its_time("kofi", request))
    stage.passes(timedelta(minutes=6))
    stage.until(lambda: stage.finished("kofi", request))
    accounts = [stage.atlassian.account(seed.company().person(who).account_id) for who in LEFT]
    stage.expect(not any(account["active"] for account in accounts), "both are deactivated, the wrong line is left out")


def abdicating(stage: Stage) -> None:
    stage.title("Organization admins go by one road only")
    refused = stage.asks("sade", f"suspend ingrid@{seed.DOMAIN} because INC-44: let us see")
    stage.sees("sade", "There is one road", "Sade, directly")
    stage.expect(stage.finished("sade", refused), "an admin is neither suspended nor deactivated")


def looking(stage: Stage) -> None:
    stage.title("Looking: what Ada holds, who holds it, and what is in the record; in windows that only they see")
    for who, typed, words in (
        ("omar", f"whois ada@{seed.DOMAIN}", "managed by the organization"),
        ("omar", "who eu-jira-admins", "Mei Tanaka"), ("omar", f"tokens ada@{seed.DOMAIN}", "ci-pipeline"),
        ("omar", f"audit ada@{seed.DOMAIN}", "request.asked"),
    ):  # fmt: skip
        stage.types(who, typed)
        view = stage.until(lambda who=who, words=words: stage.window(who, words))  # type: ignore[misc]
        stage.line(f"only {seed.company().person(who).given} sees", plain(text_of(view))[:400] + " …")
        stage.slack.close_view(who, all=True)
    stage.slack.open_home("ada")
    home = stage.until(lambda: stage.slack.home("ada"))
    stage.line("Ada's Home", plain(text_of(home))[:400])


def freezing(stage: Stage) -> None:
    stage.title("Sade freezes everything, and two let it go on")
    stage.types("sade", "freeze because INC-45: something is wrong with the record")
    shown = stage.types("ada", "grant eu-jira-admins for 1h because INC-46: while it is frozen")
    stage.expect("stands still" in shown, "nothing can be asked for meanwhile")
    stage.types("sade", "unfreeze")
    for who in ("omar", "ingrid"):
        card = stage.until(lambda: stage.proposal())
        stage.slack.click(who, "agree", ts=card["ts"], channel=card["channel"])
        name = seed.company().person(who).name
        stage.until(lambda name=name: name in text_of(stage.proposal() or {}).replace("\u2060", ""))  # type: ignore[misc]
    stage.until(lambda: "Agreed" in text_of(stage.proposal() or {}))
    stage.expect(
        "REQ-" in stage.types("ada", "grant eu-jira-admins for 1h because INC-46: now it goes on"), "it goes on"
    )
