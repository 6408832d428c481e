"""Keeps each request's cards and thread true to the record (the jobs ``draw`` and ``tell``)."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from approvals import jobs
from approvals.crash import crash_point
from approvals.glass_facts import incident_of
from approvals.models import Card, Job, News, Review
from approvals.planning import QUIET
from approvals.policy import Channels, Policy
from approvals.policy_book import PolicyBook
from approvals.states import Review as ReviewStatus
from approvals.states import Status
from approvals.store import LOUD, Store, Write
from bot.slack_out import CLOSED, GONE, NO_THREAD, SlackError, SlackOut
from handlers.cards import Drawing, draw
from handlers.news import draw_news
from handlers.view import RequestView, view_of

IN_ORDER = 10.0  # seconds until a message looks whether it was forgotten; the one before it wakes it
WAITS_AT_MOST = timedelta(minutes=5)
AGAIN = 5.0  # seconds until a message that must be heard is tried again
STEPS_ASIDE, LOUDER = 0.2, "what everybody must hear at once goes first"  # seconds; why
INSISTENT = frozenset({"glass"})  # tried until it arrives, whatever Slack says
UNHEARD = CLOSED | {"user_not_found", "user_not_in_channel", "cannot_dm_bot", "user_disabled"}

log = structlog.get_logger()


@dataclass
class Announcer:
    """Draws from the record, sends within the budget, writes down what was sent."""

    store: Store
    slack: SlackOut
    policies: PolicyBook
    audit_log: str  # the address of the organization's audit log

    def draw(self, claim: jobs.Claim) -> None:
        """Post the copies that are missing and redraw those that show something else."""
        with self.store.read() as session:
            policy = self.policies.current(session)
            view = view_of(session, policy, claim.about, self.store.time_in(session))
            wanted = self._wanted(session, view) if view else []
            channel = _home(view, policy) if view else ""
            louder = _louder_waits(session, self.store.time_in(session))
        if view is None:
            return
        if louder:
            raise jobs.Later(STEPS_ASIDE, LOUDER)
        copies = [self._row(claim, view, place) for place in wanted]
        for card in sorted(copies, key=lambda card: card.place != "channel"):
            self._bring_up_to_date(claim, view, card, channel)
            if card.place == "channel":
                view = replace(view, thread=card)  # the direct copies link to it

    def _wanted(self, session: Session, view: RequestView) -> list[str]:
        """The copies there are, and while the question is open one in the channel and one for each who may answer."""
        places = [p for p in session.exec(select(Card.place).where(Card.request_id == view.request.id)) if is_card(p)]
        if _will_have_a_card(view) and "channel" not in places:
            places.append("channel")
        if view.request.status == Status.PENDING:
            users = [view.slack[c.account] for c in view.approvers if c.account in view.slack]
            places += [place for place in ("channel", *(f"direct:{user}" for user in users)) if place not in places]
        return places

    def _row(self, claim: jobs.Claim, view: RequestView, place: str) -> Card:
        with self.store.read() as session:
            card = session.exec(select(Card).where(Card.request_id == view.request.id, Card.place == place)).first()
        if card is not None:
            return card
        with self.store.work(claim) as w:
            return w.add(Card(request_id=view.request.id, place=place))

    def _bring_up_to_date(self, claim: jobs.Claim, view: RequestView, card: Card, channel: str) -> None:
        drawing = draw(view, buttons=True)
        if card.place != "channel":
            drawing = _with_link(drawing, view)
        shown = _digest(drawing)
        if card.trouble:
            return
        if card.drawn != shown:
            posted = not card.ts
            try:
                self._send_card(view, card, drawing, channel)
            except SlackError as error:
                if error.code in GONE:
                    self._forget(claim, card)
                    raise jobs.Later(0.1, error.code) from None
                if error.retry:
                    raise
                return self._cannot(claim, view, card, error)
            card.drawn = shown
            self._note(claim, card, posted=posted)  # at once: whatever fails from here on must not post it again
        if card.place == "channel" and not card.link:
            card.link = self._link(card)
            self._note(claim, card)

    def _send_card(self, view: RequestView, card: Card, drawing: Drawing, channel: str) -> None:
        if card.ts:
            crash_point("card: before redrawing")
            self.slack.update(card.channel, card.ts, drawing)
            crash_point("card: redrawn")
            return
        card.channel = channel if card.place == "channel" else self.slack.direct(card.place.partition(":")[2])
        self._must_be_ours(card)
        crash_point("card: before posting")
        card.thread = view.request.home_thread if card.channel == view.request.home_channel else ""
        card.ts = self.slack.post(card.channel, drawing, thread=card.thread, about=f"{view.request.id}/{card.place}")
        crash_point("card: posted")

    def _link(self, card: Card) -> str:
        try:
            return self.slack.link(card.channel, card.ts)
        except SlackError as error:
            if error.retry:
                raise
            return ""  # the copies do without it

    def _forget(self, claim: jobs.Claim, card: Card) -> None:
        """Somebody deleted it: a new one is posted at the next drawing."""
        card.ts = card.link = card.drawn = ""
        self._note(claim, card)

    def _must_be_ours(self, card: Card) -> None:
        """A channel shared with another workspace lets strangers read: nothing of ours is shown there."""
        if card.place == "channel" and self.slack.channel(card.channel).get("is_ext_shared"):
            raise SlackError("externally_shared", retry=False)

    def _note(self, claim: jobs.Claim, card: Card, *, posted: bool = False) -> None:
        with self.store.work(claim) as w:
            w.session.merge(card)
            if posted and card.place == "channel":
                _wake(w, _waiting(card.request_id, "thread", ""))

    def _cannot(self, claim: jobs.Claim, view: RequestView, card: Card, error: SlackError) -> None:
        """The copy can't be posted: the requester is told, the operators see why, the request goes on."""
        card.trouble = error.code
        request = view.request
        facts = {"where": card.channel or card.place, "why": error.code}
        with self.store.work(claim) as w:
            w.session.merge(card)
            once = f"no card:{request.id}:{card.place}"
            if card.place == "channel":
                whom = {"team": request.team, "user": request.user}
                w.tell("no_card", place="person", request=request.id, once=once, **whom, **facts)
            w.tell("no_card_for_operators", place="operators", request=request.id, once=f"ops {once}", **facts)

    # -- news -----------------------------------------------------------------------------------------------------

    def tell(self, claim: jobs.Claim) -> None:
        """Tell one piece of news, in the order things happened; retried until it is told."""
        with self.store.read() as session:
            news = session.get(News, int(claim.about))
            if news is None or news.told_at is not None:
                return
            policy = self.policies.current(session)
            now = self.store.time_in(session)
            if news.kind not in LOUD and _louder_waits(session, now):
                raise jobs.Later(STEPS_ASIDE, LOUDER)
            view = view_of(session, policy, news.request_id, now) if news.request_id else None
            if _something_before(session, news, now - WAITS_AT_MOST):
                raise jobs.Later(IN_ORDER, "the message before it comes first")
        drawing = draw_news(news, view, audit_log=self.audit_log)
        crash_point("news: before sending")
        try:
            self._send(news, view, drawing, policy.channels)
        except SlackError as error:
            if news.place == "thread" and error.code in NO_THREAD and view is not None and view.thread is not None:
                self._forget(claim, view.thread)
                with self.store.work(claim) as w:
                    w.enqueue("draw", view.request.id, priority=jobs.PEOPLE)
                raise jobs.Later(IN_ORDER, "its card was deleted and comes first") from None
            if news.kind in INSISTENT and self._still_matters(news):
                raise jobs.Later(max(AGAIN, error.after or 0.0), error.code) from None
            if error.retry or error.code not in UNHEARD:
                raise
            log.warning(
                "nobody could be told", news=news.kind, place=news.place, request=news.request_id, why=error.code
            )
        crash_point("news: sent")
        with self.store.work(claim, last=True) as w:
            self._told(w, news)

    def _still_matters(self, news: News) -> bool:
        """Whether what must be heard is still to be judged; after that nobody needs to hear of it any more."""
        with self.store.read() as session:
            review = session.get(Review, news.request_id)
        return review is not None and review.status != ReviewStatus.SETTLED

    def _send(self, news: News, view: RequestView | None, drawing: Drawing, channels: Channels) -> None:
        about = f"news {news.id}"
        if news.place == "thread":
            thread = view.thread if view else None
            if thread is None and view is not None and _will_have_a_card(view):
                raise jobs.Later(IN_ORDER, "the card comes first")
            if thread is None or thread.trouble:
                return  # there is no thread; the people concerned are told directly as well
            if not thread.ts:
                raise jobs.Later(IN_ORDER, "the card comes first")
            self.slack.post(thread.channel, drawing, thread=thread.thread or thread.ts, about=about)
        elif news.place == "room":  # where it was typed, unless strangers read there
            if not self.slack.channel(news.channel).get("is_ext_shared"):
                self.slack.post(news.channel, drawing, about=about)
        elif news.place in ("operators", "security", "requests"):
            self.slack.post(getattr(channels, news.place), drawing, about=about)
        elif not (news.channel and not news.channel.startswith("D") and self._whispered(news, drawing)):
            self.slack.post(self.slack.direct(news.user), drawing, about=about)

    def _whispered(self, news: News, drawing: Drawing) -> bool:
        """Said where they clicked; false when they can't hear it there."""
        try:
            self.slack.whisper(news.channel, news.user, drawing)
        except SlackError as error:
            if error.retry or error.code not in UNHEARD:
                raise
            return False
        return True

    def _told(self, w: Write, news: News) -> None:
        row = w.session.get(News, news.id)
        if row is not None:
            row.told_at = w.now
            if row.request_id is not None:
                w.session.flush()
                _wake(w, _waiting(row.request_id, row.place, row.user))


def _louder_waits(session: Session, now: datetime) -> bool:
    """Whether something must be heard before all else and can be sent now; a message claimed before it waits for it."""
    due = (col(Job.priority) <= jobs.ENDS, Job.kind == "tell", Job.run_at <= now)
    waits = select(Job.id).where(col(Job.status).in_(("ready", "running")), *due).limit(1)
    return session.exec(waits).first() is not None


def _something_before(session: Session, news: News, since: datetime) -> bool:
    """Whether an older message of the same request to the same place still waits."""
    if news.request_id is None:
        return False
    older = _waiting(news.request_id, news.place, news.user).where(
        News.at > since,  # one that can't be told must not silence the rest
        col(News.id) < news.id,
    )
    return session.exec(older.limit(1)).first() is not None


def _waiting(request: str, place: str, user: str) -> SelectOfScalar[Any]:
    """What is still to be told of a request in one place, the oldest first."""
    where = (News.request_id == request, News.place == place, News.user == user, col(News.told_at).is_(None))
    return select(News.id).where(*where).order_by(col(News.id))


def _wake(w: Write, waiting: SelectOfScalar[Any]) -> None:
    """The first of them waits for nothing more."""
    first = w.session.exec(waiting.limit(1)).first()
    if first is not None:
        w.enqueue("tell", first, priority=jobs.PEOPLE)


def _will_have_a_card(view: RequestView) -> bool:
    """Broken glass has one as soon as it is decided, though nobody is asked on it."""
    return bool(incident_of(view.request) and view.request.plan_hash)


def is_card(place: str) -> bool:
    """A list has rows of the same table for its progress and its files, which are drawn by their own jobs."""
    return place == "channel" or place.startswith("direct:")


def _home(view: RequestView, policy: Policy) -> str:
    """The channel of the card: where it was asked for, else what the policy names."""
    if view.request.verb in QUIET:  # never where its subject could read it
        return policy.channels.private or policy.channels.security
    named = view.rule.channel if view.rule else policy.channels.requests
    return view.request.home_channel or named


def _with_link(drawing: Drawing, view: RequestView) -> Drawing:
    if view.thread is None or not view.thread.link:
        return drawing
    link = {"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{view.thread.link}|Open its thread>"}]}
    return Drawing(drawing.text, [*drawing.blocks, link])


def _digest(drawing: Drawing) -> str:
    return hashlib.sha256(json.dumps([drawing.text, drawing.blocks]).encode()).hexdigest()
