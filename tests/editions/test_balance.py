"""Balances: announced and missing papers, and the delivery state of every candidate."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session
from support.newsletter.press import NOBODY, PlannedTransport, Press
from support.web.papers import FRIDAY, THURSDAY

from service.deliveries.domain.recipients import Cadence
from service.editions.balance import find_balance
from service.editions.store.editions import insert_edition
from service.operations.status import find_status
from service.papers.watched_sources import gating_sources
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.subscribers.lifecycle import suppress_address

SATURDAY = FRIDAY + timedelta(days=1)


@pytest.mark.parametrize(
    ("sources", "gating"),
    [
        (("arxiv", "huggingface"), ("arxiv",)),
        (("huggingface", "biorxiv", "medrxiv"), ("biorxiv", "medrxiv")),
        (("huggingface",), ("huggingface",)),
    ],
)
def test_an_edition_waits_for_gating_sources_or_else_for_any_source(
    settings: Settings, sources: tuple[str, ...], gating: tuple[str, ...]
) -> None:
    assert gating_sources(settings.model_copy(update={"sources": sources})) == gating


def test_a_balance_counts_every_candidate_by_state(press: Press) -> None:
    press.add_subscribers("anne@example.org", "bert@example.org")
    press.add_subscribers("cleo@example.org", topics=("nothing at all",))
    press.add_subscribers("dora@example.org")
    press.add_papers(1)
    assert find_balance(press.sessions, Cadence.DAILY, FRIDAY) is None
    edition_id = press.publish()
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "dora@example.org", keys, "asked", press.clock())
    refuses = PlannedTransport(
        lambda envelope: (
            NOBODY if envelope.recipient.startswith("bert") else PlannedTransport.plan(envelope)
        )
    )
    open_balance = press.balance(edition_id)
    assert open_balance.states == {"queued": 3, "skipped: empty": 1}
    assert open_balance.closes
    deliver(press.sender(refuses))
    balance = find_balance(press.sessions, Cadence.DAILY, FRIDAY)
    assert balance is not None
    assert balance.states == {"sent": 1, "failed": 1, "skipped: empty": 1, "skipped: suppressed": 1}
    assert (balance.candidate_count, balance.paper_count, balance.closes) == (4, 1, True)


def test_an_edition_whose_rows_were_not_counted_does_not_balance(
    press: Press, session: Session
) -> None:
    insert_edition(session, Cadence.WEEKLY, FRIDAY, press.clock(), sends_now=True)
    session.commit()
    balance = find_balance(press.sessions, Cadence.WEEKLY, FRIDAY)
    assert balance is not None
    assert (balance.candidate_count, balance.closes) == (None, False)


def test_the_status_shows_batches_editions_and_the_queue(press: Press) -> None:
    press.add_subscribers("anne@example.org", "bert@example.org")
    press.add_papers(1, 2)
    press.add_papers(3, on=THURSDAY)
    press.publish()
    status = find_status(press.sessions, press.settings, FRIDAY, press.clock.forward(minutes=5))
    (batch,) = status.batches
    assert (batch.source, batch.category, batch.announced_on) == ("arxiv", "cs.CL", FRIDAY)
    assert (batch.state, batch.announced_count) == ("complete", 2)
    assert [edition.cadence for edition in status.editions] == [Cadence.DAILY]
    assert status.subscribers == {"active": 2}
    assert (status.due_count, status.in_doubt_count) == (2, 0)
    assert status.oldest_due_at == press.clock() - timedelta(minutes=5)
    deliver(press.sender(PlannedTransport()))
    assert find_status(press.sessions, press.settings, FRIDAY, press.clock()).due_count == 0
    empty = find_status(press.sessions, press.settings, SATURDAY, press.clock())
    assert (empty.batches, empty.editions, empty.coverage) == ((), (), None)
