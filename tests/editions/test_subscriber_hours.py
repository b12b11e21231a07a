"""Digests at the subscriber's hour: when they are due, and one mail for editions of one hour."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from support.newsletter.press import LATER, PlannedTransport, Press, plain_text
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence, Timing
from service.deliveries.store.models import Delivery
from service.editions.compose import compose_chunk, compose_subscribers
from service.editions.publish import open_due_editions, open_edition, pending_chunks
from service.editions.store.models import Edition
from service.operations.explain import explain_date
from service.papers.domain.types import BatchState
from service.papers.listing_check import close_overdue
from service.platform.database.engine import transaction
from service.sending.deliver import deliver, sweep
from service.sending.store.claim import Claimer, claim_due
from service.subscribers.store.candidates import get_candidates
from service.subscribers.store.models import Subscriber

SATURDAY, SUNDAY, MONDAY = (FRIDAY + timedelta(days=n) for n in (1, 2, 3))
LATE = datetime(2026, 9, 17, 14, tzinfo=UTC)  # Thursday's deadline
EARLY = datetime(2026, 9, 18, 4, 30, tzinfo=UTC)  # shortly after midnight in New York
ANNE = "anne@example.org"


@pytest.fixture(autouse=True)
def _one_category(press: Press) -> None:
    changes = {"arxiv_categories": ("cs.CL",), "sources": ("arxiv",)}
    press.settings = press.settings.model_copy(update=changes)


def live(press: Press, at: datetime, transport: PlannedTransport) -> None:
    """Run the tasks of beat at a time: open what is due, compose it, send what is due."""
    press.clock.now = at
    close_overdue(press.sessions, at)
    open_due_editions(press.sessions, press.settings, at)
    for chunk in pending_chunks(press.sessions):
        compose_chunk(press.sessions, press.settings, chunk, at)
    deliver(press.sender(transport))


def live_until(press: Press, end: datetime, transport: PlannedTransport) -> None:
    """Run them every half hour."""
    while press.clock() < end:
        live(press, press.clock() + timedelta(minutes=30), transport)


def announce(
    press: Press, on: date, *numbers: int, state: BatchState = BatchState.COMPLETE
) -> None:
    with press.sessions() as session:
        papers = [make_announcement(n, f"Parsing number {n}") for n in numbers]
        store_papers(session, papers, on, state=state)


def mails_to(press: Press, email: str) -> list[tuple[str, tuple[int, ...], str]]:
    """Return an address's digests: when each was due, its papers by number, its state."""
    with press.sessions() as session:
        rows = (
            session.query(Delivery, Subscriber)
            .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .filter(Subscriber.email == email)
            .order_by(Delivery.id)
        )
        return [
            (
                f"{row.due_at.astimezone(UTC):%a %H:%M}",
                tuple(sorted(row.paper_ids)),
                row.reason or row.state,
            )
            for row, _ in rows
        ]


@pytest.fixture
def world(press: Press) -> Press:
    """Return a press with a day that is late, and one that is early, at the deadline of the first."""
    places = {
        "tokyo": ("Asia/Tokyo", 7), "tokyo14": ("Asia/Tokyo", 14), "sydney": ("Australia/Sydney", 7),
        "berlin": ("Europe/Berlin", 7), "honolulu": ("Pacific/Honolulu", 7),
        "newyork": ("America/New_York", 7),
    }  # fmt: skip
    press.clock.now = LATE - timedelta(hours=9)
    for name, (zone, hour) in places.items():
        press.add_subscribers(f"{name}@example.org", cadence=Cadence.WEEKDAYS, zone=zone, hour=hour)
    announce(press, THURSDAY, 1, 2, state=BatchState.PARTIAL)
    return press


def test_a_week_of_digests_comes_at_each_subscribers_hour(world: Press) -> None:
    transport = PlannedTransport()
    live(world, LATE, transport)
    live_until(world, EARLY - timedelta(minutes=30), transport)
    announce(world, FRIDAY, 3)
    live_until(world, datetime(2026, 9, 21, 4, tzinfo=UTC), transport)
    announce(world, MONDAY, 4)
    live_until(world, datetime(2026, 9, 22, 13, tzinfo=UTC), transport)
    alone = "sent"
    assert {name: mails_to(world, f"{name}@example.org") for name in (
        "tokyo", "tokyo14", "sydney", "berlin", "honolulu", "newyork",
    )} == {
        # Friday's papers are there on Friday afternoon, and wait for Monday's hour.
        "tokyo": [("Thu 22:00", (1, 2), alone), ("Sun 22:00", (3,), alone), ("Mon 22:00", (4,), alone)],
        "tokyo14": [("Fri 05:00", (1, 2), "merged"), ("Fri 05:00", (1, 2, 3), alone), ("Mon 05:00", (4,), alone)],
        "sydney": [("Thu 21:00", (1, 2), alone), ("Sun 21:00", (3,), alone), ("Mon 21:00", (4,), alone)],
        "berlin": [("Fri 05:00", (1, 2), "merged"), ("Fri 05:00", (1, 2, 3), alone), ("Mon 05:00", (4,), alone)],
        "honolulu": [("Thu 17:00", (1, 2), alone), ("Fri 17:00", (3,), alone), ("Mon 17:00", (4,), alone)],
        "newyork": [("Fri 11:00", (1, 2), "merged"), ("Fri 11:00", (1, 2, 3), alone), ("Mon 11:00", (4,), alone)],
    }  # fmt: skip
    assert Counter(transport.recipients) == {
        "tokyo@example.org": 3, "tokyo14@example.org": 2, "sydney@example.org": 3,
        "berlin@example.org": 2, "honolulu@example.org": 3, "newyork@example.org": 2,
    }  # fmt: skip
    with world.sessions() as session:
        editions = [one.id for one in session.query(Edition).filter_by(cadence=Cadence.WEEKDAYS)]
    assert [world.balance(number).closes for number in editions] == [True] * 3


def test_a_merged_mail_says_which_days_it_covers_and_why_says_so(world: Press) -> None:
    transport = PlannedTransport()
    live(world, LATE, transport)
    announce(world, FRIDAY, 3)
    live(world, EARLY, transport)
    live(world, EARLY + timedelta(minutes=30), transport)
    (text,) = [
        " ".join(plain_text(mail.payload).split())
        for mail in transport.sent
        if mail.recipient == "berlin@example.org"
    ]
    assert "Thursday 17 September 2026 to Friday 18 September 2026 · 3 papers for you" in text
    # Nobody counted Thursday's papers, whose day was closed at its deadline.
    assert "3 papers read; arXiv's own count was not available for cs.CL" in text
    # The papers of a topic stand together, the newest day's first.
    assert text.count("All of computational linguistics --") == 1
    with world.sessions() as session:
        berlin = session.query(Subscriber).filter_by(email="berlin@example.org").one()
        (thursday,) = explain_date(session, berlin, THURSDAY).deliveries
        (friday,) = explain_date(session, berlin, FRIDAY).deliveries
    assert (thursday.state, thursday.reason) == ("skipped", "merged")
    assert "due at the hour of a newer digest" in thursday.events[-1].detail
    assert (thursday.carried_into, friday.carried_from) != (None, ())


def test_as_soon_as_the_day_is_complete_is_at_once_on_a_day_of_the_cadence(press: Press) -> None:
    press.clock.now = EARLY - timedelta(hours=1)
    now = Timing.WHEN_COMPLETE
    press.add_subscribers("tokyo@example.org", zone="Asia/Tokyo", timing=now)
    cadence = Cadence.WEEKDAYS
    press.add_subscribers(
        "sydney@example.org", zone="Australia/Sydney", cadence=cadence, timing=now
    )
    announce(press, FRIDAY, 1, state=BatchState.PARTIAL)
    transport = PlannedTransport()
    # At Friday's deadline it is Saturday in Sydney.
    live(press, datetime(2026, 9, 18, 14, tzinfo=UTC), transport)
    assert transport.recipients == ["tokyo@example.org"]
    assert mails_to(press, "sydney@example.org") == [("Sun 21:00", (1,), "queued")]


def test_a_digest_that_was_deferred_joins_the_next_one(press: Press) -> None:
    press.clock.now = EARLY - timedelta(days=1)
    press.add_subscribers(ANNE, hour=5)
    announce(press, THURSDAY, 1)
    live(press, press.clock(), PlannedTransport())
    # At the last try before Friday's edition it is deferred until after Friday's hour.
    live(press, EARLY - timedelta(hours=5), PlannedTransport(lambda _: LATER))
    press.clock.now = EARLY
    with transaction(press.sessions) as session:
        session.query(Delivery).update({"due_at": EARLY + timedelta(hours=2)})
    announce(press, FRIDAY, 2)
    transport = PlannedTransport()
    live(press, EARLY, transport)
    live(press, EARLY + timedelta(hours=3), transport)
    assert transport.recipients == [ANNE]
    assert [papers for _, papers, state in mails_to(press, ANNE) if state == "sent"] == [(1, 2)]


@pytest.fixture
def two_editions(press: Press) -> Press:
    """Return a press with Thursday's digest waiting, and Friday's edition open, both due at five."""
    press.clock.now = LATE
    press.add_subscribers(ANNE, hour=5)
    announce(press, THURSDAY, 1, 2)
    (chunk,) = open_edition(press.sessions, press.settings, Cadence.DAILY, THURSDAY, LATE)
    compose_chunk(press.sessions, press.settings, chunk, LATE)
    announce(press, FRIDAY, 3)
    press.clock.now = EARLY
    open_edition(press.sessions, press.settings, Cadence.DAILY, FRIDAY, EARLY)
    return press


HOUR = EARLY + timedelta(minutes=30)


def compose_friday(press: Press) -> None:
    for chunk in pending_chunks(press.sessions):
        compose_chunk(press.sessions, press.settings, chunk, press.clock())


def sent_papers(transport: PlannedTransport) -> Sequence[int]:
    """Return the numbers of the papers in all mails that were sent, each as often as it was sent."""
    texts = (plain_text(mail.payload) for mail in transport.sent)
    return sorted(
        int(number) for text in texts for number in re.findall(r"Parsing number (\d)", text)
    )


def finish(press: Press, transport: PlannedTransport) -> list[str]:
    press.clock.now = HOUR
    sweep(press.sessions, HOUR)
    deliver(press.sender(transport))
    return [state for _, _, state in mails_to(press, ANNE)]


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_digest_that_a_sender_is_just_claiming_goes_out_by_itself(
    two_editions: Press, is_committed: bool
) -> None:
    press, transport = two_editions, PlannedTransport()
    with press.sessions() as sender:
        (claim,) = claim_due(sender, Claimer(4711, timedelta(minutes=15)), 10, HOUR)
        if is_committed:
            sender.commit()
        compose_friday(press)
        sender.commit()
    assert sorted(claim.delivery.paper_ids) == [1, 2]
    # The sender died: its row is queued again, and both go out, each paper once.
    assert finish(press, transport) == ["sent", "sent"]
    assert sent_papers(transport) == [1, 2, 3]


def test_no_sender_claims_a_digest_that_is_being_merged(two_editions: Press) -> None:
    press, transport = two_editions, PlannedTransport()
    with press.sessions() as composer, press.sessions() as sender:
        edition = composer.query(Edition).filter_by(local_date=FRIDAY).one()
        candidates = get_candidates(composer, Cadence.DAILY, 1, 1)
        compose_subscribers(composer, press.settings, edition, candidates, EARLY)
        assert claim_due(sender, Claimer(4711, timedelta(minutes=15)), 10, HOUR) == []
        sender.rollback()
        # The composer dies: nothing has changed, and the next one does it again.
        composer.rollback()
    compose_friday(press)
    assert finish(press, transport) == ["merged", "sent"]
    assert sent_papers(transport) == [1, 2, 3]


def test_a_waiting_digest_stays_if_the_new_edition_has_nothing_for_its_subscriber(
    press: Press,
) -> None:
    press.clock.now = LATE
    press.add_subscribers(ANNE, hour=5, topics=["tagging"])
    with press.sessions() as session:
        store_papers(session, [make_announcement(1, "Tagging")], THURSDAY)
    live(press, LATE, PlannedTransport())
    announce(press, FRIDAY, 2)
    live(press, EARLY, PlannedTransport())
    assert finish(press, PlannedTransport()) == ["sent", "empty"]


def test_a_merged_digest_keeps_its_topics_and_cuts(two_editions: Press) -> None:
    press = two_editions
    press.settings = press.settings.model_copy(update={"digest_max_papers": 1})
    compose_friday(press)
    digest = digest_from_json(press.rows()[-1].digest)
    (group,) = digest.groups
    assert [entry.paper_id for entry in group.entries] == [3, 2, 1]
    assert all(entry.reasons for entry in group.entries)
