"""Erasing what is personal: names, mails and free text go, ids and digests stay, and the chain still verifies."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, text, update
from sqlmodel import Session, SQLModel, and_, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from approvals.calls import reword_steps
from approvals.expected import OUTSIDE
from approvals.models import (
    AccessRequest,
    AuditDetail,
    AuditEntry,
    Binding,
    BulkRow,
    Call,
    CallEvent,
    Grant,
    Manager,
    News,
    Offer,
    Person,
    PlanRow,
    Review,
    ReviewEvent,
    SlackUser,
    StepRow,
    Vote,
)
from approvals.models_safety import Freeze, Proposal
from approvals.states import EARLY, HELD, OPEN
from approvals.states import Review as ReviewStatus
from approvals.store import MACHINE, Actor, Store, Write

PAGE = 500  # texts a look, so that nobody is held up
SHORTEST = 4  # a shorter name would take others' texts along
NOTHING = "{}"  # what stays of a body that says something in JSON
PERSONAL = frozenset({"set_email", "create_user", "invite", "create_site_user"})  # steps whose value names somebody

Key = tuple[int, str]


class StillOpen(Exception):
    """They wait for something or hold something, which would be lost; ``requests`` are what must be over first."""

    def __init__(self, requests: list[str]) -> None:
        super().__init__(", ".join(requests))
        self.requests = requests


def forget(store: Store, account: str, *, actor: Actor, tell: str) -> int:
    """Erase a person; how many texts of the record went. ``tell`` is what security reads of it."""
    with store.read() as session:
        _insist_all_is_over(session, account)
        about = _requests_of(session, account)
        words = _words_of(session, account)
        before = _left_before(session, account)
    found = {
        key: (entry["request"], entry["event"])
        for page in _pages(store)
        for key, entry in page.items()
        if key in before or _is_theirs(entry, account, about, words)
    }
    with store.write() as w:
        _insist_all_is_over(w.session, account)
        others = _open(w.session)  # of other people; what is still to be done there rests on what was said
        keys = [key for key, (request, _) in found.items() if request not in others]
        left = sorted(found.keys() - set(keys))
        _without_trace(w)
        erased = _erase(w, keys)
        _empty_requests(w, account, about)
        _empty_lists(w, account, words, about | others)
        _empty_reasons(w, account, about, words)
        asked = {found[key][0] for key in before & found.keys() if found[key][1] == "request.asked"}
        _set(w, AccessRequest, _of(AccessRequest.id, asked - others), reason="")
        _empty_offers(w, words)
        _empty_told(w, words)
        _empty_closed(w, account, words)
        _empty_mirror(w, account)
        data = {"account": account, "texts": erased, "entries": len(keys), "left": left}
        w.audit("person.forgotten", actor=actor, data=data)
        w.tell("shell_act", place="security", by=actor.account.removeprefix("shell:"), did=tell)
    return erased


def erase_older(store: Store, kept: timedelta) -> int:
    """Erase the texts of entries older than that, but for requests that are still open; how many went.

    What was told before that goes as well, which nobody is told again.
    """
    erased = 0
    before = store.now() - kept
    with store.write() as w:
        _without_trace(w)
        _set(w, News, and_(col(News.told_at) < before, News.facts != NOTHING), facts=NOTHING)
    for page in _pages(store):
        with store.read() as session:
            open_now = _open(session)
        old = [key for key, entry in page.items() if _at(entry) < before and entry["request"] not in open_now]
        if old:
            with store.write() as w:
                _without_trace(w)
                count = _erase(w, old)
                data = {"texts": count, "older_than_days": kept.days, "up_to": max(seq for seq, _ in old)}
                w.audit("texts.erased", actor=MACHINE, data=data)
            erased += count
        if all(_at(entry) >= before for entry in page.values()):
            break
    return erased


def _at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _pages(store: Store) -> Iterator[dict[Key, dict[str, Any]]]:
    """Every text by its key, with the body of its entry and itself; each page is a read of its own."""
    after = 0
    while True:
        with store.read() as session:
            numbers = session.exec(
                select(AuditDetail.seq).where(AuditDetail.seq > after).order_by(col(AuditDetail.seq)).limit(PAGE)
            ).all()
            if not numbers:
                return
            rows = session.exec(
                select(AuditDetail, AuditEntry.body)
                .join(AuditEntry, col(AuditEntry.seq) == col(AuditDetail.seq))
                .where(AuditDetail.seq > after, AuditDetail.seq <= numbers[-1])
            ).all()
        after = numbers[-1]
        yield {(detail.seq, detail.name): {**json.loads(body), "text": detail.text} for detail, body in rows}


def _is_theirs(entry: dict[str, Any], account: str, about: set[str], words: list[str]) -> bool:
    """They did it, it was done to them, it is of a request of theirs, or it names them."""
    data = entry["data"]
    if account in (entry["actor"], data.get("account"), data.get("subject"), data.get("requester")):
        return True
    return entry["request"] in about or _names(words, entry["text"])


def _names(words: list[str], text: str) -> bool:
    return any(word in text.lower() for word in words)


def _left_before(session: Session, account: str) -> set[Key]:
    """Texts that had to stay the last time: by now their name may be known nowhere else."""
    forgotten = (col(AuditEntry.request_id).is_(None), AuditEntry.event == "person.forgotten")
    bodies = [json.loads(body)["data"] for body in session.exec(select(AuditEntry.body).where(*forgotten))]
    return {(seq, name) for data in bodies if data["account"] == account for seq, name in data.get("left", ())}


def _requests_of(session: Session, account: str) -> set[str]:
    mine = or_(AccessRequest.requester == account, AccessRequest.subject == account)
    return set(session.exec(select(AccessRequest.id).where(mine)))


def _open(session: Session, account: str | None = None) -> set[str]:
    """Requests that are not over, or whose grants or review are not; of a person, or all."""
    return {request for query in _not_over(account) for request in session.exec(query)}


def _not_over(account: str | None = None) -> Iterator[SelectOfScalar[str]]:
    requests = select(AccessRequest.id).where(col(AccessRequest.status).in_(OPEN))
    of_grants = col(AccessRequest.id) == col(Grant.request_id)
    grants = select(AccessRequest.id).join(Grant, of_grants).where(col(Grant.status).in_(HELD))
    # that its news were told is looked for until it is judged
    judged = col(AccessRequest.id) == col(Review.request_id)
    reviews = select(AccessRequest.id).join(Review, judged).where(Review.status != ReviewStatus.SETTLED)
    if account is not None:
        mine = or_(AccessRequest.requester == account, AccessRequest.subject == account)
        rows = select(BulkRow.request_id).where(BulkRow.account == account)
        requests = requests.where(or_(mine, col(AccessRequest.id).in_(rows)))
        grants = grants.where(or_(mine, Grant.account == account))  # who asked: the end rests on what they asked
        reviews = reviews.where(or_(mine, Review.person == account))
    yield requests
    yield grants
    yield reviews


def _is_over(request_id: str) -> ColumnElement[bool]:
    """Of a row: whether its request, in this column, is over."""
    return and_(*(col(request_id).not_in(query) for query in _not_over()))


def _insist_all_is_over(session: Session, account: str) -> None:
    if still := sorted(_open(session, account)):
        raise StillOpen(still)


def _words_of(session: Session, account: str) -> list[str]:
    """What they are called, in lower case: their names and addresses, and the account itself."""
    words = [account]
    person = session.get(Person, account)
    words += [person.name, person.mail] if person else []
    bound = session.exec(select(Binding).where(Binding.account == account)).all()
    words += [row.mail for row in bound]
    for row in bound:
        user = session.get(SlackUser, (row.team, row.user))
        words += [user.name, user.mail] if user else []
    return sorted({word.lower() for word in words if len(word) >= SHORTEST})


def _without_trace(w: Write) -> None:
    """SQLite leaves what was deleted in the file until it needs the room, unless it is told not to."""
    if w.connection.dialect.name == "sqlite":
        w.connection.execute(text("PRAGMA secure_delete = ON"))


def _erase(w: Write, keys: Iterable[Key]) -> int:
    found = [w.session.get(AuditDetail, key) for key in keys]
    rows = [row for row in found if row is not None]
    for row in rows:
        w.session.delete(row)
    w.session.flush()
    return len(rows)


def _empty_requests(w: Write, account: str, about: set[str]) -> None:
    """What the tables of requests say in words; their ids, times and outcomes stay, and what others have open."""
    theirs = sorted(about)
    answered = and_(Vote.account == account, _is_over(Vote.request_id))
    _set(w, AccessRequest, col(AccessRequest.id).in_(theirs), reason="", value="", because="")
    _set(w, Vote, or_(col(Vote.request_id).in_(theirs), answered), reason="", typed="", because="")
    _set(w, BulkRow, or_(col(BulkRow.request_id).in_(theirs), BulkRow.account == account), person="", reason="",
         because="")  # fmt: skip
    w.session.execute(delete(News).where(col(News.request_id).in_(theirs), col(News.told_at).is_not(None)))
    _set(w, CallEvent, col(CallEvent.request_id).in_(theirs), says="")
    w.session.execute(delete(ReviewEvent).where(col(ReviewEvent.request_id).in_(theirs)))
    # what was read for a plan that was never made is no step
    w.session.execute(delete(StepRow).where(col(StepRow.request_id).in_(theirs), col(StepRow.purpose) == "plan"))
    for plan in w.session.exec(select(PlanRow).where(col(PlanRow.request_id).in_(theirs))):
        body = json.loads(plan.body)
        body |= {"subject_name": body["subject"], "subject_mail": "", "warnings": [], "lines": []}
        body["steps"] = [_nameless(step) for step in body["steps"]]
        plan.body = _written(body)
        w.session.add(plan)
    for request_id in theirs:
        _empty_steps(w, request_id, lambda step: True)


def _empty_lists(w: Write, account: str, words: list[str], but: set[str]) -> None:
    """What the lists of others say of somebody who is only a row in them."""

    def is_of_them(step: dict[str, Any]) -> bool:
        return step["account"] == account or _names(words, step["words"])

    for request_id in sorted({*w.session.exec(select(BulkRow.request_id).where(BulkRow.account == account))} - but):
        for plan in w.session.exec(select(PlanRow).where(PlanRow.request_id == request_id)):
            body = json.loads(plan.body)
            for said in ("warnings", "lines"):
                body[said] = [line for line in body[said] if not _names(words, line)]
            body["steps"] = [_nameless(step) if is_of_them(step) else step for step in body["steps"]]
            plan.body = _written(body)
        _empty_steps(w, request_id, is_of_them)
        for event in w.session.exec(select(CallEvent).where(CallEvent.request_id == request_id)):
            event.says = "" if _names(words, event.says) else event.says


def _empty_reasons(w: Write, account: str, about: set[str], words: list[str]) -> None:
    """Why a grant ended, what was said of the use of break-glass, and where others name them."""
    for because in w.session.exec(select(Grant.because).distinct()).all():
        early, named = because.startswith(EARLY), _names(words, because)
        if because != OUTSIDE and (early or named):  # by OUTSIDE the record knows what Atlassian should show
            whose = col(Grant.id).is_not(None) if named else or_(_of(Grant.request_id, about), Grant.account == account)
            here = and_(Grant.because == because, whose, _is_over(Grant.request_id))
            _set(w, Grant, here, because=EARLY if early else "")
    for review in w.session.exec(select(Review).where(Review.reason != "", _is_over(Review.request_id))):
        if review.request_id in about or review.by == account or _names(words, review.reason):
            review.reason = ""
    for name in ("reason", "because"):
        _unname(w, AccessRequest, name, _is_over(AccessRequest.id), words)
        _unname(w, Vote, name, _is_over(Vote.request_id), words)


def _unname(
    w: Write, table: type[SQLModel], name: str, where: ColumnElement[bool], words: list[str], *, empty: str = ""
) -> None:
    """Empty a column where it names them; what many rows say is looked at once."""
    column = getattr(table, name)
    for said in w.session.exec(select(column).distinct()).all():
        if _names(words, said):
            _set(w, table, and_(column == said, where), **{name: empty})


def _of(request_id: str, requests: set[str]) -> ColumnElement[bool]:
    return col(request_id).in_(sorted(requests))


def _empty_steps(w: Write, request_id: str, names: Callable[[dict[str, Any]], bool]) -> None:
    """The chain knows them again by their new words: what ended may be found there again, and is taken by them."""
    found = w.session.exec(select(StepRow).where(StepRow.request_id == request_id)).all()
    rows = [row for row in found if names(json.loads(row.body)) and _reworded(row.body) != row.body]
    for row in rows:
        _set(w, Call, Call.step_id == row.id, answer="")
    known = reword_steps(w, request_id, rows, _reworded)
    if known:
        w.audit("steps.reworded", actor=MACHINE, request=request_id, data={"steps": known})


def _reworded(body: str) -> str:
    return _written(_nameless(json.loads(body)))


def _written(body: dict[str, Any]) -> str:
    """As it was, so that a name that stays is still found when its turn comes."""
    return json.dumps(body, ensure_ascii=False)


def _empty_offers(w: Write, words: list[str]) -> None:
    """What an incident tool has said of them; that it announced an incident stays."""
    for offer in w.session.exec(select(Offer)):
        if _names(words, f"{offer.title} {offer.link}"):
            offer.title = offer.link = ""
            w.session.add(offer)


def _empty_told(w: Write, words: list[str]) -> None:
    """What was told goes nowhere else, whoever's request it is about; its key stays, so that it is not told again."""
    told = select(News.id, News.facts).where(col(News.told_at).is_not(None), News.facts != NOTHING)
    for id, facts in w.session.exec(told).all():
        if _names(words, str(json.loads(facts))):
            _set(w, News, News.id == id, facts=NOTHING)


def _empty_closed(w: Write, account: str, words: list[str]) -> None:
    """Why everything stood still once, and what admins agreed to or did not. Ids stay there, as they do elsewhere."""
    called = [word for word in words if word != account.lower()]
    closed = col(Proposal.status) != "open"
    _unname(w, Freeze, "because", col(Freeze.lifted_at).is_not(None), words)
    _unname(w, Proposal, "shown", closed, words)
    _unname(w, Proposal, "because", closed, words)
    _unname(w, Proposal, "body", closed, called, empty=NOTHING)


def _nameless(step: dict[str, Any]) -> dict[str, Any]:
    return step | {"words": step["does"], **({"value": ""} if step["does"] in PERSONAL else {})}


def _empty_mirror(w: Write, account: str) -> None:
    """The copies of what Slack and Atlassian tell; as long as they still tell it, the mirror reads it again."""
    for row in w.session.exec(select(Binding).where(Binding.account == account)):
        mine = (SlackUser.team == row.team, SlackUser.user == row.user)
        w.session.execute(delete(SlackUser).where(*mine))  # type: ignore[arg-type]
        row.mail = ""
        w.session.add(row)
    w.session.execute(delete(Manager).where(or_(Manager.account == account, Manager.manager == account)))
    w.session.execute(update(Person).where(col(Person.manager) == account).values(manager=None))
    w.session.execute(delete(Person).where(col(Person.account) == account))


def _set(w: Write, table: type[SQLModel], where: Any, **values: str) -> None:
    w.session.execute(update(table).where(where).values(**values))
