"""The one place that knows every part: builds the house from its settings."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from slack_bolt import App, BoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from sqlalchemy.exc import SQLAlchemyError

from approvals.bindings import confirm
from approvals.counting import Counting
from approvals.database import Database, InDoubt
from approvals.delegating import Delegating
from approvals.glass import Glass, GlassDesk
from approvals.last_admins import patient_turn
from approvals.offers import Offers
from approvals.overdue import ask_for_every_end
from approvals.performing import apply_policy, unfreeze
from approvals.planning import Planning
from approvals.policy import Policy
from approvals.policy_book import PolicyBook, adopt_first
from approvals.proposals import Proposals
from approvals.provisioning import Effects, Provisioning
from approvals.reconciliation import Reconciliation
from approvals.reviews import Reviews
from approvals.safe_mode import SafeDesk
from approvals.source import keys_of, known
from approvals.store import Store
from approvals.strays import Strays
from approvals.waiting import Waiting
from approvals.warning import Warning
from approvals.welcoming import Welcoming
from approvals.workflow import Workflow
from approvals.writable import DATABASE, cannot_tell, cannot_write, patiently, trouble_of
from bot.announcer import Announcer
from bot.atlassian.directory import AtlassianDirectory
from bot.atlassian.event_kinds import read_config
from bot.bulk_intake import BulkIntake
from bot.bulk_pages import BulkPages
from bot.bulk_progress import BulkProgress
from bot.clients import Clients, build_clients, site_brakes
from bot.dispatch import Listeners
from bot.emergency import EmergencyWatch
from bot.envelope import Passed, admit
from bot.event_thread import EventThread
from bot.events import Events
from bot.gauges import Gauges, tier_of
from bot.guard import Guard
from bot.health import Health
from bot.heartbeat import Heartbeat
from bot.home import Homes
from bot.incident_door import IncidentDoor
from bot.key_slots import expiries
from bot.metrics import Metrics
from bot.mirror import Mirror
from bot.oncall.sources import Described, OnCallSources, build_incidents, build_on_call
from bot.previews import Previews
from bot.private_answers import PrivateAnswers
from bot.proposal_cards import ProposalCards
from bot.record.book import Book
from bot.record.checkpoints import Checkpoints
from bot.record.loss import Loss
from bot.record.retention import Retention
from bot.record.signing import signing_key
from bot.review_cards import ReviewCards
from bot.review_events import ReviewEvents
from bot.safe_mode_pages import SafeModePages
from bot.settings import Settings
from bot.slack_budget import Budget
from bot.slack_files import SlackFiles
from bot.slack_out import SlackOut
from bot.socket_mode import SocketMode
from bot.sources import Sources
from bot.thread_files import ThreadFiles
from bot.turn import TURN
from bot.watch import Watch
from bot.worker import LastWords, Run, Worker
from handlers.desk import Desk
from handlers.routes import register

log = structlog.get_logger()


@dataclass
class House:
    """The parts, wired."""

    settings: Settings
    database: Database
    store: Store
    policies: PolicyBook
    desk: Desk
    listeners: Listeners
    guard: Guard | None  # None: the HTTP door is shut, as there is no signing secret
    incidents: IncidentDoor | None  # None: no secret, so that this door is shut
    socket: SocketMode | None  # None: Slack comes by HTTP
    metrics: Metrics
    mirror: Mirror
    worker: Worker
    checkpoints: Checkpoints
    retention: Retention
    directory: AtlassianDirectory
    events: Events
    watch: EmergencyWatch
    heartbeat: Heartbeat
    upkeep: Watch
    health: Health
    gauges: Gauges
    reconciliation: Reconciliation
    loss: Loss

    def start(self) -> None:
        """Begin to work, also when the database is away at this very moment."""
        patiently(self._ask_for_work)
        self.worker.start()

    def _ask_for_work(self) -> None:
        """Whether the record is all there, the ends that are due, then what comes again and again."""
        self.loss.look()
        ask_for_every_end(self.store, due_too=True)
        self.gauges.count_ends()
        self.mirror.start()
        self.checkpoints.start()
        self.retention.start()
        self.events.start()
        self.watch.start()
        self.heartbeat.start()
        self.upkeep.start()
        self.reconciliation.start()

    def close(self) -> None:
        """Give back every connection, when nobody works any more."""
        self.directory.close()
        self.database.close()

    def refresh_gauges(self) -> None:
        """Bring the gauges up to date, for whoever reads them now."""
        self.gauges.refresh()


def build(
    settings: Settings, *, budget: Budget | None = None, given: Sequence[Path] = ()
) -> House:  # fmt: skip
    """Wire everything; opens no connection and starts nothing. ``given``: files of checkpoints, named at the start."""
    database = Database(settings.database_url.get_secret_value())
    database.batches.coming, database.batches.aside = lambda: TURN.waiting, TURN.aside
    store = Store(database, movable_time=settings.on_loopback)
    policies = PolicyBook()
    metrics = Metrics()
    store.on_happened(partial(metrics.on_happened, tier=partial(tier_of, store, policies)))
    slack = SlackOut(settings.slack_bot_token.get_secret_value(), settings.slack_api_url, budget=budget)
    directory = build_directory(settings, store, policies, metrics)
    sources = Sources(store, slack, directory, policies, on_call_of(settings, database, metrics))
    mirror = Mirror(store, slack, directory, settings.slack_team_id, sources)
    workflow = Workflow(store, policies)
    proposals = Proposals(store, policies, mirror, {"policy": apply_policy, "unfreeze": unfreeze, "bind": confirm})
    glass, reviews = GlassDesk(store, policies), Reviews(store, policies, workflow)
    delegating = Delegating(store, policies)
    safe = SafeDesk(store, policies)
    desk = Desk(store, workflow, delegating, proposals, policies, glass, reviews, safe, slack.open_view)
    book = build_book(settings, store)
    worker = build_worker(settings, store, policies, directory, mirror, proposals, slack, book)
    glassy, last_words = build_glass(settings, desk, directory, mirror, slack, metrics)
    lists, last_words_of_lists = build_lists(settings, desk, slack)
    worker.kinds |= lists | glassy
    worker.last_words |= last_words | last_words_of_lists
    worker.on_failure = metrics.on_failure
    checkpoints = build_checkpoints(settings, store, policies, slack, book)
    retention = Retention(store, days_of(settings.audit_texts_kept_days))
    heartbeat = Heartbeat(store, settings.heartbeat_url.get_secret_value(), metrics)
    watch = EmergencyWatch(store, policies, directory.clients.organization, directory.clients.accounts)
    events = build_events(settings, store, directory, watch)
    upkeep = build_upkeep(settings, store, slack, directory)
    reconciliation = build_reconciliation(settings, store, directory, policies, events)
    loss = Loss(store, book, slack, policies, given)
    if worker.listening is not None:
        worker.listening.after_a_loss = loss.look_again
    worker.kinds |= {
        "checkpoint": checkpoints.run, "texts": retention.run, "events": events.run, "emergency": watch.run,
        "heartbeat": heartbeat.run, "watch": upkeep.run, "reconcile": reconciliation.run,
    }  # fmt: skip
    worker.kinds |= build_safe_mode(desk, directory, slack, loss)
    listeners = Listeners(build_bolt(settings), desk, metrics)
    offers = Offers(store, policies, mirror)
    worker.kinds["offer"] = offers.offer
    guard, socket = build_guard(settings, store, metrics), build_socket(settings, store, listeners)
    incidents = build_incident_door(settings, offers, metrics)
    return House(
        settings, database, store, policies, desk, listeners, guard, incidents, socket, metrics, mirror, worker,
        checkpoints, retention, directory, events, watch, heartbeat, upkeep,
        Health(store, socket, lambda: book.trouble or loss.trouble),
        Gauges(metrics, store, socket, expiries(settings), checkpoints.places()),
        reconciliation, loss,
    )  # fmt: skip


def build_guard(settings: Settings, store: Store, metrics: Metrics) -> Guard | None:
    """The HTTP door, where there is a secret to check signatures with."""
    if not settings.slack_signing_secret.get_secret_value():
        return None
    return Guard(
        settings.slack_signing_secret,
        settings.slack_team_id,
        settings.slack_enterprise_id,
        seen=partial(_seen, store),
        now=time.time,
        count=metrics.on_refused,
        next_secret=settings.slack_signing_secret_next,
    )


def build_incident_door(settings: Settings, offers: Offers, metrics: Metrics) -> IncidentDoor | None:
    """The door for incident tools, where it has a secret of its own."""
    secret = settings.incident_webhook_secret
    if not secret.get_secret_value():
        return None
    return IncidentDoor(secret, offers, time.time, lambda why: metrics.refused.labels(why).inc())


def build_socket(settings: Settings, store: Store, listeners: Listeners) -> SocketMode | None:
    """The other door, where there is a token to open it with; the same checks, the same listeners."""
    token = settings.slack_app_token.get_secret_value()
    if not token:
        return None
    logging.getLogger("websockets").setLevel(logging.ERROR)  # it logs whole messages at DEBUG
    teams, enterprise, seen = settings.slack_team_id, settings.slack_enterprise_id, partial(_seen, store)
    return SocketMode(
        SlackOut(token, settings.slack_api_url).open_socket,
        partial(admit, teams=teams, enterprise=enterprise, seen=seen),
        partial(timed, listeners),
        count=listeners.metrics.on_refused,
    )


def timed(listeners: Listeners, passed: Passed) -> BoltResponse:
    """The acknowledgement of what came by the socket; the web side times what comes by HTTP."""
    with listeners.metrics.ack.time():
        return listeners.answer(passed)


def build_directory(settings: Settings, store: Store, policies: PolicyBook, metrics: Metrics) -> AtlassianDirectory:
    """Atlassian by the policy in force when the process starts."""
    with store.read() as session:
        policy = policies.current(session)
    clients = build_clients(settings, policy, store.database, metrics.on_call)
    return AtlassianDirectory(clients, policy, turns=partial(patient_turn, store))


def on_call_of(
    settings: Settings, database: Database, metrics: Metrics
) -> Callable[[Mapping[str, Described]], OnCallSources]:
    """Who is on call, by whatever places the policy in force names; with the brakes of the site's key."""
    brakes = site_brakes(settings, database)

    def build(described: Mapping[str, Described]) -> OnCallSources:
        return build_on_call(settings, described, after_call=metrics.on_call, brakes=brakes)

    return build


def build_worker(
    settings: Settings,
    store: Store,
    policies: PolicyBook,
    directory: AtlassianDirectory,
    mirror: Mirror,
    proposals: Proposals,
    slack: SlackOut,
    book: Book,
) -> Worker:
    """Which job is whose: the kinds are named where they are enqueued."""
    planning = Planning(store, directory, policies, mirror)
    provisioning = Provisioning(store, directory, mirror, policies, Effects(settings.effects), book)
    announcer = Announcer(store, slack, policies, audit_log_address(settings))
    counting = Counting(store, policies, mirror)
    kinds = {
        "plan": planning.plan,
        "count": counting.count,
        "wait": Waiting(store, policies).look,
        "apply": provisioning.apply,
        "end": provisioning.ending.end,
        "ends soon": Warning(store).warn,
        "bulk end": provisioning.bulk_ending.end,
        "group end": provisioning.ending_together.end,
        "draw": announcer.draw,
        "tell": announcer.tell,
        "mirror": mirror.run,
        "look up": mirror.look_up,
        "sources": mirror.sources.run,
        "home": Homes(store, slack, policies).draw,
        "proposal": ProposalCards(store, slack, policies).draw,
        "proposal over": proposals.over,
        "agree": proposals.judge,
        "private": PrivateAnswers(store, slack, directory.facts, policies).fill,
        "welcome": Welcoming(store, directory, policies, Workflow(store, policies)).welcome,
        "preview": Previews(store, slack, directory, policies).fill,
    }
    last_words = {"plan": planning.last_words, "count": counting.last_words, "apply": provisioning.last_words}
    return Worker(store, kinds, last_words=last_words, threads=settings.worker_threads)


def build_events(settings: Settings, store: Store, directory: AtlassianDirectory, watch: EmergencyWatch) -> Events:
    """The closed loop: what the configuration says of the audit log is read once."""
    config, org = read_config(settings.audit_log_file), settings.atlassian_org_id
    thread = EventThread(store, config, org, audit_log_address(settings))
    return Events(store, directory.clients.organization, config, thread, watch)


def build_upkeep(settings: Settings, store: Store, slack: SlackOut, directory: AtlassianDirectory) -> Watch:
    """What looks after keys, vendors and the record: by the very clients that do the work."""
    clients = directory.clients
    assert isinstance(clients, Clients)
    return Watch(store, slack, clients, expiries(settings))


def build_reconciliation(
    settings: Settings, store: Store, directory: AtlassianDirectory, policies: PolicyBook, events: Events
) -> Reconciliation:
    """The record against Atlassian; what the audit log tells of others explains some of it."""
    writes = Effects(settings.effects) is not Effects.OFF
    return Reconciliation(store, directory, policies, events.puts_in, writes)


def build_safe_mode(desk: Desk, directory: AtlassianDirectory, slack: SlackOut, loss: Loss) -> dict[str, Run]:
    """The jobs of a record that was lost or put back."""
    strays = Strays(desk.store, directory, desk.policies)
    return {
        "outside": loss.run,
        "safe mode": strays.read,
        "stray": strays.settle,
        "safe page": SafeModePages(desk.store, slack, desk).draw,
        "safe mode over": loss.over,
    }


def build_lists(settings: Settings, desk: Desk, slack: SlackOut) -> tuple[dict[str, Run], dict[str, LastWords]]:
    """The jobs of lists that talk with people: their files, their pages, how far they have come."""
    files = SlackFiles(slack, settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
    intake = BulkIntake(desk.store, files, desk.workflow, desk.policies)
    progress = BulkProgress(desk.store, slack, ThreadFiles(desk.store, files), desk.policies)
    kinds: dict[str, Run] = {
        "bulk file": intake.read,
        "bulk lapse": intake.lapse,
        "bulk page": BulkPages(desk.store, slack, desk).turn,
        "bulk progress": progress.show,
        "bulk result": progress.hand_back,
    }
    return kinds, {"bulk file": intake.last_words}


def days_of(number: int | None) -> timedelta | None:
    return timedelta(days=number) if number is not None else None


def build_book(settings: Settings, store: Store) -> Book:
    """Where it is said outside how far the record is and who holds what, signed where there is a key."""
    secret = settings.audit_signing_key.get_secret_value()
    key = signing_key(secret) if secret else None
    return Book(store, settings.atlassian_org_id, key, settings.checkpoint_file, partial(print, flush=True))


def build_checkpoints(
    settings: Settings, store: Store, policies: PolicyBook, slack: SlackOut, book: Book
) -> Checkpoints:
    """What proves the record outside of it."""
    webhook = settings.checkpoint_webhook_url.get_secret_value()
    return Checkpoints(store, slack, policies, settings.atlassian_org_id, book.key, webhook, book)


def build_glass(
    settings: Settings, desk: Desk, directory: AtlassianDirectory, mirror: Mirror, slack: SlackOut, metrics: Metrics
) -> tuple[dict[str, Run], dict[str, LastWords]]:
    """The jobs of break-glass: what decides, who hears, what is said of it afterwards. And should it be given up."""
    brakes = site_brakes(settings, desk.store.database)
    incidents = build_incidents(settings, after_call=metrics.on_call, brakes=brakes)
    glass = Glass(desk.store, desk.policies, directory, mirror, incidents)
    files = SlackFiles(slack, settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
    events = ReviewEvents(desk.store, directory.clients.organization, ThreadFiles(desk.store, files))
    kinds: dict[str, Run] = {
        "glass": glass.judge,
        "glass heard": glass.heard,
        "review": ReviewCards(desk.store, slack, desk.policies).draw,
        "review due": desk.reviews.due,
        "review events": events.look,
        "misuse": desk.reviews.propose_suspension,
    }
    return kinds, {"glass": glass.last_words}


def build_bolt(settings: Settings) -> App:
    """Bolt behind the guard, which has verified already; no listener may need the network to be authorized."""
    token = settings.slack_bot_token.get_secret_value()

    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token, bot_user_id="", bot_id="")

    quiet = logging.getLogger("bolt")  # Bolt copies the root's level onto its own, and logs bodies at INFO
    quiet.setLevel(logging.ERROR)
    app = App(
        logger=quiet,
        authorize=authorize,
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        process_before_response=True,  # acknowledged only after the intent is committed
        request_verification_enabled=False,
        ssl_check_enabled=False,
        url_verification_enabled=False,
        ignoring_self_events_enabled=False,
    )
    register(app)
    app.error(not_written_down)
    return app


def not_written_down(error: Exception, body: dict[str, Any], context: BoltContext) -> BoltResponse:
    """Nothing was committed, so nothing is acknowledged as done: a command hears so, a click shows Slack's warning.

    Unless the commit was made and only the answer of the database was lost; then it is as if it had arrived.
    """
    if isinstance(error, DATABASE):  # which is no mistake of ours, so nobody need read where it happened
        log.error("not written down", kind=type(error).__name__, why=trouble_of(error).why)
    else:
        log.error("not written down", kind=type(error).__name__, exc_info=error)
    written = _is_written(context) if isinstance(error, DATABASE) else False
    if written:
        text = "It is written down, although my database was in trouble just then. Look at `/access mine`."
        answer = {"response_type": "ephemeral", "text": text}
        return BoltResponse(status=200, body=answer if "command" in body else "")
    if "command" not in body:
        return BoltResponse(status=500, body="")
    text = "I could not write that down just now, so nothing was asked and nothing was changed. Please try again."
    if isinstance(error, DATABASE):
        in_doubt = written is None and isinstance(error, InDoubt)
        text = cannot_tell(trouble_of(error)) if in_doubt else cannot_write(trouble_of(error))
    return BoltResponse(status=200, body={"response_type": "ephemeral", "text": text})


def _is_written(context: BoltContext) -> bool | None:
    """Whether the payload is known after all; what it is done under is written in the transaction of what it caused.

    None: that can't be read either.
    """
    try:
        return bool(_seen(context["desk"].store, keys_of(context["source"])))
    except SQLAlchemyError:
        return None


def audit_log_address(settings: Settings) -> str:
    """Where an administrator reads the organization's audit log: Security, Audit log.

    Only the menu path is documented (https://support.atlassian.com/security-and-access-policies/docs/track-organization-activities-from-the-audit-log/).
    """
    return f"{settings.atlassian_admin_url}/o/{settings.atlassian_org_id}/audit-log"


def adopt_policy(store: Store, text: str, policy: Policy) -> bool:
    """The first file counts at once; false when the record holds another policy than the file."""
    return adopt_first(store, text, policy)


def _seen(store: Store, keys: tuple[str, ...]) -> frozenset[str]:
    with store.look() as connection:
        return known(connection, keys)
