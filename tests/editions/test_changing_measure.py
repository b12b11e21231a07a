"""Whatever readers change, in any order, every paper of their topics comes, and comes once."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select
from support.newsletter.press import Press
from support.web.papers import make_announcement, store_papers

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.compose import compose_chunk
from service.editions.publish import open_due_editions, pending_chunks
from service.papers.store.models import Paper
from service.subscribers.domain.sign_up import Preferences
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics, set_preferences
from service.topics.domain.types import TopicMeasure
from service.topics.store.models import WaitingPapers

FIRST = date(2026, 9, 1)
DAYS, READERS = 48, 8
WORDS = ("lattice", "protein", "weather")
# Down on these days, with all that they should have published.
DOWN = {FIRST + timedelta(days=n) for n in (16, 17, 18, 39)}
# When the service looks: a day is complete, weekly and monthly editions may open, the deadline is over.
TICKS = (time(5), time(9, 30), time(16))
CADENCES = (
    Cadence.DAILY, Cadence.WEEKDAYS, Cadence.WEEKLY, Cadence.WEEKLY_THURSDAY, Cadence.WEEKLY_SUNDAY,
    Cadence.MONTHLY,
)  # fmt: skip


def announce(press: Press, on: date, count: int, number: int) -> None:
    papers = [
        make_announcement(n, f"On {WORDS[n % 3]} and {WORDS[n % 7 % 3]} number {n}")
        for n in range(number, number + count)
    ]
    with press.sessions() as session:
        store_papers(session, papers, on)


def change(press: Press, reader: int, chosen: Preferences) -> None:
    with press.sessions() as session:
        subscriber = session.get_one(Subscriber, reader, with_for_update=True)
        topics = tuple(get_topics(session, [reader])[reader])
        measures = dict(zip([text for _, text in topics], chosen.measures.values(), strict=True))
        given = Preferences(
            chosen.cadence, subscriber.hour, "Europe/Berlin", topics=topics, measures=measures,
            weekly_topics_on=chosen.weekly_topics_on,
        )  # fmt: skip
        set_preferences(session, subscriber, given, press.clock())
        session.commit()


def choose(dice: random.Random) -> Preferences:
    measures = {
        word: dice.choice([TopicMeasure(), TopicMeasure(is_weekly=True), TopicMeasure(at_least=3),
                           TopicMeasure(is_weekly=True, at_least=2)])
        for word in WORDS
    }  # fmt: skip
    return Preferences(
        dice.choice(CADENCES), 7, "Europe/Berlin", measures=measures,
        weekly_topics_on=dice.randrange(7),
    )  # fmt: skip


def publish(press: Press, at: datetime) -> None:
    press.clock.now = at
    open_due_editions(press.sessions, press.settings, at)
    for chunk in pending_chunks(press.sessions):
        compose_chunk(press.sessions, press.settings, chunk, at)


def papers_sent(press: Press, reader: int) -> Counter[int]:
    with press.sessions() as session:
        rows = session.scalars(
            select(Delivery).where(
                Delivery.subscriber_id == reader, Delivery.state == DeliveryState.QUEUED
            )
        ).all()
    return Counter(i for row in rows for i in row.paper_ids)


def walk(press: Press, dice: random.Random, readers: Sequence[int]) -> None:
    number = 1
    for day in (FIRST + timedelta(days=n) for n in range(DAYS)):
        if day.weekday() < 5:
            count = dice.randrange(4)
            announce(press, day, count, number)
            number += count
        if dice.random() < 0.15 and day > FIRST + timedelta(days=8):
            announce(press, day - timedelta(days=dice.randrange(1, 8)), 1, number)
            number += 1
        for tick in TICKS:
            at = datetime.combine(day, tick, tzinfo=UTC)
            if day not in DOWN:
                publish(press, at)
            for reader in readers:
                if dice.random() < 0.07:
                    change(press, reader, choose(dice))


def test_no_paper_is_lost_or_doubled_by_changes_of_cadence_and_of_topics(press: Press) -> None:
    dice = random.Random(20)
    press.settings = press.settings.model_copy(update={"digest_max_papers": 1_000})
    press.clock.now = datetime.combine(FIRST, time(1), tzinfo=UTC)
    addresses = [f"reader{n}@example.org" for n in range(READERS)]
    press.add_subscribers(*addresses, topics=WORDS)
    with press.sessions() as session:
        readers = session.scalars(select(Subscriber.id).order_by(Subscriber.id)).all()
    walk(press, dice, readers)
    at_once = {word: TopicMeasure() for word in WORDS}
    for reader in readers:
        change(press, reader, Preferences(Cadence.DAILY, 7, "Europe/Berlin", measures=at_once))
    for day in (FIRST + timedelta(days=DAYS + n) for n in range(3)):
        if day.weekday() < 5:
            announce(press, day, 0, 0)
        for tick in TICKS:
            publish(press, datetime.combine(day, tick, tzinfo=UTC))
    with press.sessions() as session:
        papers = set(session.scalars(select(Paper.id)))
        assert session.scalars(select(WaitingPapers)).all() == []
    for reader in readers:
        assert papers_sent(press, reader) == Counter(papers), f"reader {reader}"
