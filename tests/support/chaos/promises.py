"""The promises that must hold after any seed; each check yields what broke it."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from functools import cached_property
from typing import Any

from sqlalchemy import select, text

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryState, may_follow
from service.deliveries.store.models import Delivery
from service.editions.balance import edition_balance
from service.editions.store.models import Edition
from service.subscribers.store.models import Subscriber
from support.chaos.missed_days import missed_days_come_once
from support.chaos.outages import broken_by_outage
from support.chaos.relay import Exchange
from support.chaos.world import Story
from support.web.papers import THURSDAY

_IDENTITY = re.compile(rb"^Message-ID:\s*<digest\.(\d+)\.", re.MULTILINE | re.IGNORECASE)
_ADDRESSEE = re.compile(rb"^To:\s*(\S+)\r$", re.MULTILINE | re.IGNORECASE)
S = DeliveryState


@dataclass(frozen=True)
class Result:
    """The counts of a seed, and the promises that it broke."""

    seed: int
    kind: str
    kills: int
    stops: int
    mails: int
    resent: int
    in_doubt: int
    skipped: int
    failed: int
    left: int
    broken: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Aftermath:
    """The rows and the relay's messages of a finished seed, read once."""

    def __init__(self, story: Story) -> None:
        self.story = story
        with story.sessions() as session:
            # An alert to an operator without an address is a row of no edition.
            digests = select(Delivery).where(Delivery.edition_id.is_not(None))
            self.rows = {row.id: row for row in session.scalars(digests)}
            self.subscribers = {
                row.id: row for row in session.execute(select(Subscriber)).scalars()
            }
            self.editions = {row.id: row for row in session.execute(select(Edition)).scalars()}
            moves = session.execute(text("SELECT * FROM moves ORDER BY id")).mappings()
            self.moves = [dict(move) for move in moves]

    @cached_property
    def exchanges(self) -> dict[int, list[Exchange]]:
        """The messages that came to their final dot, by delivery id."""
        found: defaultdict[int, list[Exchange]] = defaultdict(list)
        for exchange in self.story.relay.exchanges:
            if exchange.dot_at is not None:
                named = _IDENTITY.search(exchange.content)
                found[int(named[1]) if named else 0].append(exchange)
        return found

    def accepted(self, delivery_id: int) -> list[Exchange]:
        """The messages that the relay may have accepted."""
        return [exchange for exchange in self.exchanges.get(delivery_id, []) if exchange.is_kept]

    def row_of(self, subscriber_id: int, on: object) -> Delivery | None:
        for row in self.rows.values():
            edition = self.editions[row.edition_id or 0]
            if row.subscriber_id == subscriber_id and edition.local_date == on:
                return row
        return None


def _each_message_is_whole(after: Aftermath) -> Iterator[str]:
    for delivery_id, exchanges in after.exchanges.items():
        row = after.rows.get(delivery_id)
        if row is None:
            yield f"a message of no delivery ({delivery_id}) was on the wire"
            continue
        email = after.subscribers[row.subscriber_id or 0].email
        for exchange in exchanges:
            header = _ADDRESSEE.search(exchange.content)
            if exchange.recipient != email or header is None or header[1].decode() != email:
                yield f"delivery {delivery_id} of {email} went to {exchange.recipient}"
            if not exchange.content.endswith(b"--\r\n"):
                yield f"delivery {delivery_id} has no end"


def _nobody_has_two_copies(after: Aftermath) -> Iterator[str]:
    may_repeat = after.story.doubted if after.story.plan.answer == "resend" else set()
    for delivery_id in after.exchanges:
        copies = len(after.accepted(delivery_id))
        if copies > 1 + (delivery_id in may_repeat):
            yield f"delivery {delivery_id} is {copies} times on the wire"
    pairs = Counter((row.edition_id, row.subscriber_id) for row in after.rows.values())
    yield from (f"two rows for {pair}" for pair, count in pairs.items() if count > 1)


def _each_message_was_in_flight(after: Aftermath) -> Iterator[str]:
    flights = Counter(move["delivery_id"] for move in after.moves if move["new"] == "in_flight")
    for delivery_id, exchanges in after.exchanges.items():
        if len(exchanges) > flights[delivery_id]:
            yield (
                f"delivery {delivery_id} came {len(exchanges)} times to its dot"
                f" and was {flights[delivery_id]} times in flight"
            )


def _each_row_has_ended(after: Aftermath) -> Iterator[str]:
    for row in after.rows.values():
        if not row.state.is_final or row.state is S.IN_DOUBT:
            yield f"delivery {row.id} is {row.state} in the end"
        if row.state in {S.SKIPPED, S.FAILED} and not row.reason:
            yield f"delivery {row.id} is {row.state} without a reason"


def _rows_tell_what_happened(after: Aftermath) -> Iterator[str]:
    """Sent means answered with 250 (or the operator's answer), and the other way round."""
    for row in after.rows.values():
        is_taken = any(exchange.code == 250 for exchange in after.exchanges.get(row.id, []))
        was_doubted = row.id in after.story.doubted
        if row.state is S.SENT and not is_taken and not was_doubted:
            yield f"delivery {row.id} is called sent, and the relay took none"
        if row.state is not S.SENT and is_taken and not was_doubted:
            yield f"delivery {row.id} was taken by the relay and is called {row.state}"
        if row.state in {S.SKIPPED, S.FAILED} and after.accepted(row.id) and not was_doubted:
            yield f"delivery {row.id} is {row.state}, and the relay may have it"


def _steps_are_foreseen(after: Aftermath) -> Iterator[str]:
    for old, new in {(move["old"], move["new"]) for move in after.moves}:
        if not may_follow(S(old), S(new)):
            yield f"a row went from {old} to {new}"


def _windows_are_kept(after: Aftermath) -> Iterator[str]:
    """No sender has more rows in flight than SEND_WINDOW; rows swept from it do not count.

    Nor do messages that hang: where the plan holds some, any reply may take so long on a busy
    machine. A message that the plan delays may be overtaken by so many that it hangs, too.
    """
    if after.story.plan.has_hanging:
        return
    most = after.story.plan.window
    most += sum(fault.times for fault in after.story.plan.wire if fault.seconds)
    flying: defaultdict[int, set[int]] = defaultdict(set)
    for move in after.moves:
        for rows in flying.values():
            rows.discard(move["delivery_id"])
        if move["new"] == "in_flight":
            flying[move["owner"]].add(move["delivery_id"])
            if len(flying[move["owner"]]) > most:
                yield f"{move['worker']} had more rows in flight than its window"
                return


def _doubt_is_bounded(after: Aftermath) -> Iterator[str]:
    """Rows in doubt are from windows in flight at a fault, hung beside one, or got no reply."""
    story = after.story
    hung = sum(fault.times for fault in story.plan.wire if fault.hangs)
    bound = story.windows * (story.plan.window + hung) + story.relay.silence_count
    if len(story.doubted) > bound:
        yield f"{len(story.doubted)} in doubt, and the faults explain {bound}"


def _nothing_waits_for_what_hangs(after: Aftermath) -> Iterator[str]:
    """While messages hang, every other digest of the day is sent, or has another end."""
    states = after.story.beside_hanging
    if states.get(S.CLAIMED, 0) or states.get(S.IN_FLIGHT, 0) > after.story.held_count:
        yield f"beside {after.story.held_count} that hung others were not sent: {states}"


def _balances_close(after: Aftermath) -> Iterator[str]:
    with after.story.sessions() as session:
        for edition in session.execute(select(Edition)).scalars():
            balance = edition_balance(session, edition)
            if not balance.closes:
                yield f"edition {edition.id} does not balance: {balance}"


def _who_left_gets_nothing(after: Aftermath) -> Iterator[str]:
    for leaver in after.story.left:
        if leaver.status != 200:
            yield f"{leaver.email} could not unsubscribe: {leaver.status}"
        with after.story.sessions() as session:
            later = session.execute(
                text(
                    "SELECT m.id FROM moves m JOIN deliveries d ON d.id = m.delivery_id"
                    " WHERE d.subscriber_id = :reader AND m.new = 'in_flight'"
                    " AND NOT pg_visible_in_snapshot(m.xid, CAST(:snapshot AS pg_snapshot))"
                ),
                {"reader": leaver.subscriber_id, "snapshot": leaver.snapshot},
            ).all()
        if later:
            yield f"{leaver.email} went into flight after the unsubscribe was answered"


def _no_paper_is_lost(after: Aftermath) -> Iterator[str]:
    """An active subscriber got each paper of the first day, then or in the next edition.

    Rows that the operator resolved as sent are exempt.
    """
    for subscriber in after.subscribers.values():
        first = after.row_of(subscriber.id, THURSDAY)
        if subscriber.state is not SubscriberState.ACTIVE or first is None or not first.paper_ids:
            continue
        has_it = any(exchange.code == 250 for exchange in after.exchanges.get(first.id, []))
        if has_it or first.state is S.SENT:
            continue
        second = after.row_of(subscriber.id, after.story.back_on)
        brought = set(second.paper_ids) if second and second.state is S.SENT else set()
        if lost := set(first.paper_ids) - brought:
            state = f"{first.state} ({first.reason or first.last_reply})"
            yield f"{subscriber.email} never gets papers {sorted(lost)}; delivery {first.id} is {state}"


def _nothing_comes_twice(after: Aftermath) -> Iterator[str]:
    """Papers that were certainly sent on the first day are not in the next edition."""
    for subscriber in after.subscribers.values():
        first = after.row_of(subscriber.id, THURSDAY)
        second = after.row_of(subscriber.id, after.story.back_on)
        if first and second and first.state is S.SENT:
            again = set(first.paper_ids) & set(second.paper_ids)
            if again:
                yield f"{subscriber.email} was sent papers {sorted(again)} again"


def _the_mail_shows_its_papers(after: Aftermath) -> Iterator[str]:
    """One message of the seed is parsed without defects and has a text part."""
    for delivery_id in after.exchanges:
        for exchange in after.accepted(delivery_id)[:1]:
            message = message_from_bytes(exchange.content, policy=policy.default)
            body = message.get_body(("plain",))
            if message.defects or body is None or not body.get_content().strip():
                yield f"delivery {delivery_id} cannot be read: {message.defects}"
            return


def _an_outage_is_named(after: Aftermath) -> Iterator[str]:
    yield from broken_by_outage(after.story)


PROMISES: tuple[Callable[[Aftermath], Iterator[str]], ...] = (
    _each_message_is_whole,
    _nobody_has_two_copies,
    _each_message_was_in_flight,
    _each_row_has_ended,
    _rows_tell_what_happened,
    _steps_are_foreseen,
    _windows_are_kept,
    _doubt_is_bounded,
    _nothing_waits_for_what_hangs,
    _balances_close,
    _who_left_gets_nothing,
    _no_paper_is_lost,
    _nothing_comes_twice,
    missed_days_come_once,
    _the_mail_shows_its_papers,
    _an_outage_is_named,
)


def check(
    story: Story, promises: tuple[Callable[[Aftermath], Iterator[str]], ...] = PROMISES
) -> Result:
    """Check every promise on a finished seed."""
    after = Aftermath(story)
    broken = [*story.broken]
    if not broken:
        broken += [problem for promise in promises for problem in promise(after)]
    states = Counter(row.state for row in after.rows.values())
    copies = [len(after.accepted(delivery_id)) for delivery_id in after.exchanges]
    return Result(
        seed=story.plan.seed,
        kind=story.plan.kind,
        kills=story.kill_count,
        stops=story.stop_count,
        mails=sum(copies),
        resent=sum(copy - 1 for copy in copies if copy > 1),
        in_doubt=len(story.doubted),
        skipped=states[S.SKIPPED],
        failed=states[S.FAILED],
        left=len(story.left),
        broken=tuple(broken),
    )
