"""Rows that nobody wrote by our code: their subscriber is skipped with a reason, the rest composed."""

from collections import Counter

import pytest
from sqlalchemy import text, update
from support.newsletter.press import PlannedTransport, Press
from support.web.papers import FRIDAY, THURSDAY

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.packed_digests import pack_digest
from service.editions.compose import MOST_UNCOMPOSABLE, Uncomposable, compose_chunk
from service.editions.domain.states import EditionState
from service.editions.edition_cache import EditionCache
from service.editions.publish import Opening, open_edition
from service.editions.store.models import Edition
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber

BREAK_FORMS = text("UPDATE canonicals SET form = '{999999}' WHERE text = ANY(:texts)")


@pytest.fixture(autouse=True)
def address_of_the_operator(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"alert_to": "ops@paperboy.example"})


def open_chunks_of(press: Press, size: int = 1000) -> list[int]:
    opening = Opening(chunk_size=size)
    return open_edition(
        press.sessions, press.settings, Cadence.DAILY, FRIDAY, press.clock(), opening
    )


def compose(press: Press, chunk_id: int, cache: EditionCache | None = None) -> bool:
    return compose_chunk(press.sessions, press.settings, chunk_id, press.clock(), cache)


def reasons(press: Press) -> Counter[str]:
    return Counter(row.reason or row.state for row in press.rows() if row.edition_id)


def alerts(press: Press) -> list[str]:
    return [row.occasion for row in press.rows() if row.kind == "operator_alert"]


def test_a_broken_topic_and_a_broken_time_zone_skip_their_subscribers_alone(press: Press) -> None:
    for number in range(20):
        press.add_subscribers(f"reader{number}@example.org", topics=[f"cat:cs.CL -zebra{number}"])
    press.add_papers(1, 2)
    press.publish(THURSDAY)  # compiles the topics
    with press.sessions.begin() as session:
        session.execute(BREAK_FORMS, {"texts": ["-zebra7 cat:cs.CL", "cat:cs.CL -zebra7"]})
        session.execute(
            update(Subscriber)
            .where(Subscriber.email == "reader12@example.org")
            .values(timezone="Mars/Olympus")
        )
    chunk, later = open_chunks_of(press, 15)
    cache = EditionCache()
    assert not compose(press, chunk, cache)
    assert compose(press, later, cache)  # freezes the edition
    with press.sessions() as session:
        edition = session.query(Edition).filter_by(local_date=FRIDAY).one()
    assert press.edition(edition.id).state is EditionState.FROZEN
    assert press.balance(edition.id).closes
    assert press.states(edition.id) == {"queued": 18, "skipped: uncomposable": 2}
    found = {row.subscriber_id: row.reason for row in press.rows(edition.id) if row.reason}
    assert found == {8: "uncomposable: KeyError", 13: "uncomposable: ZoneInfoNotFoundError"}
    assert alerts(press) == [f"uncomposable {edition.id}"]
    # A second run of the task has nothing to do.
    assert not compose(press, chunk)


def test_an_edition_whose_every_subscriber_fails_is_tried_again_and_skips_nobody(
    press: Press,
) -> None:
    count = MOST_UNCOMPOSABLE + 10
    press.add_subscribers(*(f"reader{number}@example.org" for number in range(count)))
    press.add_papers(1)
    press.publish(THURSDAY)
    with press.sessions.begin() as session:
        before = session.execute(text("SELECT form FROM canonicals")).scalar_one()
        session.execute(text("UPDATE canonicals SET form = '{999999}'"))
    (chunk,) = open_chunks_of(press)
    for _ in range(2):
        with pytest.raises(Uncomposable, match="KeyError"):
            compose(press, chunk)
    with press.sessions.begin() as session:
        edition = session.query(Edition).filter_by(local_date=FRIDAY).one()
        session.execute(text("UPDATE canonicals SET form = :form"), {"form": before})
    assert (edition.state, press.rows(edition.id)) == (EditionState.OPEN, [])
    assert alerts(press) == [f"uncomposed {edition.id}"]
    assert compose(press, chunk)
    assert press.states(edition.id) == {"queued": count}


@pytest.mark.parametrize("broken", [pack_digest({"groups": 7}), b"not packed"])
def test_a_broken_digest_that_failed_does_not_break_the_next_one(
    press: Press, broken: bytes
) -> None:
    press.add_subscribers("ada@example.org")
    press.add_papers(1, on=THURSDAY)
    press.publish(THURSDAY)
    with press.sessions.begin() as session:
        session.execute(text("UPDATE deliveries SET digest = :value"), {"value": broken})
    assert deliver(press.sender(PlannedTransport())).failed == 1
    press.add_papers(2)
    edition_id = press.publish()
    row = press.row(edition_id)
    assert row.state is DeliveryState.QUEUED
    # The papers of the mail that failed come again.
    assert len(row.paper_ids) == 2
