"""Publishing: one edition, one digest for each subscriber, one edition for each paper."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from support.newsletter.press import PlannedTransport, Press, dump_tables
from support.servers.processes import settings_environ, start_command
from support.smtp.smtp_sink import SmtpSink
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.deliveries.domain.digest import Digest
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.editions.compose import compose_chunk
from service.editions.domain.states import EditionState
from service.editions.publish import (
    SCHEDULED,
    Opening,
    finish_open_editions,
    force_due,
    open_due_editions,
    open_edition,
    pending_chunks,
    publish_now,
)
from service.editions.store.edition_papers import get_edition_papers
from service.editions.store.editions import freeze_if_composed, list_open
from service.editions.store.models import Edition, EditionChunk, EditionPaper
from service.papers.domain.types import AnnounceType, BatchState
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.sending.report import DeliverReport

ANNE, BERT, CLEO = "anne@example.org", "bert@example.org", "cleo@example.org"
SATURDAY = FRIDAY + timedelta(days=1)


def digest_of(press: Press, edition_id: int, subscriber: int = 0) -> Digest:
    row = press.rows(edition_id)[subscriber]
    assert row.digest is not None
    return digest_from_json(row.digest)


def open_friday(press: Press, opening: Opening = SCHEDULED) -> list[int]:
    sessions, settings = press.sessions, press.settings
    return open_edition(sessions, settings, Cadence.DAILY, FRIDAY, press.clock(), opening)


def editions(press: Press) -> list[Edition]:
    with press.sessions() as session:
        return list(session.execute(select(Edition).order_by(Edition.id)).scalars())


def test_publishing_twice_makes_one_edition_and_sends_each_message_once(
    press: Press, smtp_sink: SmtpSink
) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1, 2)
    sender = press.sender()
    first = press.publish()
    deliver(sender, first)
    before = dump_tables(press.sessions)
    second = press.publish()
    assert deliver(sender, second) == DeliverReport()
    sender.transport.close()
    assert first == second
    assert dump_tables(press.sessions) == before
    assert sorted(smtp_sink.recipients()) == [ANNE, BERT]
    assert press.balance(first).closes


@pytest.mark.slow
def test_two_processes_that_publish_at_once_share_one_edition(
    press: Press, smtp_sink: SmtpSink, settings: Settings
) -> None:
    emails = [f"reader{n:03}@example.org" for n in range(120)]
    press.add_subscribers(*emails)
    press.add_papers(1, 2, 3)
    # Slow enough that both are sending at the same time.
    smtp_sink.delay_seconds = 0.03
    publish = ("--now", "2026-09-18T05:00Z", "publish", "--date", str(FRIDAY), "--force")
    environ = settings_environ(settings, SEND_WINDOW="4")
    both = [start_command(environ, *publish) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len(editions(press)) == 1
    assert sorted(smtp_sink.recipients()) == emails
    edition_id = editions(press)[0].id
    assert press.states(edition_id) == {"sent": 120}
    assert press.balance(edition_id).candidate_count == 120
    assert press.balance(edition_id).closes


def test_a_redelivered_compose_adds_nothing(press: Press) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    (chunk,) = open_friday(press)
    assert compose_chunk(press.sessions, press.settings, chunk, press.clock())
    before = dump_tables(press.sessions)
    assert not compose_chunk(press.sessions, press.settings, chunk, press.clock.forward(hours=1))
    assert dump_tables(press.sessions) == before


def test_sending_may_begin_with_the_last_chunk(press: Press) -> None:
    press.add_subscribers(ANNE, BERT, CLEO)
    press.add_papers(1)
    chunks = open_friday(press, Opening(chunk_size=1))
    now = press.clock()
    frozen = [compose_chunk(press.sessions, press.settings, chunk, now) for chunk in chunks]
    assert frozen == [False, False, True]


def test_a_deleted_chunk_is_not_composed(press: Press) -> None:
    assert not compose_chunk(press.sessions, press.settings, 4711, press.clock())


def test_uncomposed_chunks_are_found_again_and_freeze_the_edition(press: Press) -> None:
    press.add_subscribers(ANNE, BERT, CLEO)
    press.add_papers(1)
    chunks = open_friday(press, Opening(chunk_size=2))
    assert len(chunks) == 2
    compose_chunk(press.sessions, press.settings, chunks[0], press.clock())
    assert pending_chunks(press.sessions) == chunks[1:]
    assert not press.balance(1).closes
    # It is not frozen, so none of its deliveries may be sent yet.
    assert deliver(press.sender(PlannedTransport())).total == 0
    edition_id = press.publish()
    assert pending_chunks(press.sessions) == []
    assert press.edition(edition_id).state is EditionState.FROZEN
    assert press.balance(edition_id).candidate_count == 3
    assert press.balance(edition_id).closes


def test_progress_is_reported_chunk_by_chunk(press: Press) -> None:
    press.add_subscribers(ANNE, BERT)
    open_friday(press, Opening(sends_now=True, chunk_size=1))
    progress: list[tuple[int, int]] = []
    publish_now(
        press.sessions, press.settings, Cadence.DAILY, FRIDAY, press.clock(),
        lambda done, whole: progress.append((done, whole)),
    )  # fmt: skip
    assert progress == [(1, 2), (2, 2)]


def test_an_edition_whose_composer_died_before_freezing_is_frozen_later(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    (chunk,) = open_friday(press)
    compose_chunk(press.sessions, press.settings, chunk, press.clock())
    with press.sessions.begin() as session:
        edition = session.execute(select(Edition)).scalar_one()
        edition.state, edition.candidate_count = EditionState.OPEN, None
    finish_open_editions(press.sessions, press.clock())
    assert press.edition(1).state is EditionState.FROZEN
    assert press.balance(1).closes


def test_an_edition_that_closed_meanwhile_is_not_frozen_again(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    (chunk,) = open_friday(press)
    with press.sessions.begin() as session:
        (stale,) = list_open(session)
        compose_chunk(press.sessions, press.settings, chunk, press.clock())
        press.clock.forward(hours=9)
        assert deliver(press.sender(PlannedTransport())).sent == 1
        assert not freeze_if_composed(session, stale.id, press.clock())
    assert press.edition(1).state is EditionState.CLOSED


def test_an_edition_without_subscribers_is_frozen_with_no_candidates(press: Press) -> None:
    press.add_papers(1)
    edition_id = press.publish()
    assert press.balance(edition_id).candidate_count == 0
    assert press.balance(edition_id).closes
    deliver(press.sender(PlannedTransport()))
    assert press.edition(edition_id).state is EditionState.CLOSED


# An edition is deleted by the transaction that freezes it, just before its commit.
LOSE = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN DELETE FROM editions; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER lose AFTER UPDATE ON editions DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.state = 'frozen') EXECUTE FUNCTION lose();
"""


def test_a_deleted_edition_raises_a_clear_error(press: Press) -> None:
    with press.sessions.begin() as session:
        session.execute(text(LOSE))
    with pytest.raises(LookupError, match="daily edition of 2026-09-18"):
        press.publish()


def test_only_active_subscribers_of_the_cadence_are_candidates(press: Press) -> None:
    press.add_subscribers(BERT, cadence=Cadence.WEEKLY)
    press.add_subscribers(ANNE)
    (cleo,) = press.add_subscribers(CLEO)
    press.change(cleo, state=SubscriberState.UNSUBSCRIBED)
    press.add_papers(1)
    edition_id = press.publish()
    assert press.balance(edition_id).candidate_count == 1


def test_a_pause_that_is_over_ends_with_the_next_edition(press: Press) -> None:
    anne, bert = press.add_subscribers(ANNE, BERT)
    press.change(anne, state=SubscriberState.PAUSED, paused_until=FRIDAY)
    press.change(bert, state=SubscriberState.PAUSED, paused_until=SATURDAY)
    press.add_papers(1)
    edition_id = press.publish()
    assert [row.subscriber_id for row in press.rows(edition_id)] == [anne]


def test_a_subscriber_without_a_match_is_skipped_as_empty(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["quasars"])
    press.add_papers(1)
    edition_id = press.publish()
    assert press.states(edition_id) == {"skipped: empty": 1}
    assert deliver(press.sender(PlannedTransport())).total == 0
    assert press.edition(edition_id).state is EditionState.CLOSED


def test_a_subscriber_without_topics_gets_trending_papers(press: Press) -> None:
    press.add_subscribers(ANNE, topics=())
    ids = press.add_papers(
        1, announcements=[make_announcement(2, "Loved by many", signals=upvoted(40))]
    )
    digest = digest_of(press, press.publish())
    assert [group.title for group in digest.groups] == ["Trending"]
    assert digest.paper_ids == (ids["arxiv:2609.00002"],)


def test_a_digest_is_cut_to_the_maximum_and_lists_the_cut_papers(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"digest_max_papers": 2})
    press.add_subscribers(ANNE, topics=["cat:cs.CL", "parsing"])
    press.add_papers(1, 2, 3, 4)
    digest = digest_of(press, press.publish())
    assert len(digest.paper_ids) == 2
    assert len(digest.cut_ids) == 2
    assert not set(digest.paper_ids) & set(digest.cut_ids)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent[0].payload.count(b"https://arxiv.org/abs/2609.") >= 2


def test_a_paper_is_listed_once_under_the_first_topic_that_matches_it(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["parsing", "cat:cs.CL"])
    ids = press.add_papers(1, announcements=[make_announcement(2, "Something else")])
    digest = digest_of(press, press.publish())
    assert [(g.title, [e.paper_id for e in g.entries]) for g in digest.groups] == [
        ("Parsing", [ids["arxiv:2609.00001"]]),
        ("All of computational linguistics", [ids["arxiv:2609.00002"]]),
    ]
    assert {r.clause for r in digest.groups[0].entries[0].reasons} == {"parsing"}


def test_a_paper_committed_late_joins_the_next_edition_marked_late(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    friday = press.publish()
    late = press.add_papers(2)["arxiv:2609.00002"]
    press.clock.forward(days=1)
    fresh = press.add_papers(3, on=SATURDAY)["arxiv:2609.00003"]
    saturday = press.publish(SATURDAY)
    with press.sessions() as session:
        assert get_edition_papers(session, saturday) == {late: True, fresh: False}
    assert set(digest_of(press, saturday).paper_ids) == {late, fresh}
    assert press.edition(saturday).coverage["late"] == 1
    assert late not in digest_of(press, friday).paper_ids


def test_no_paper_is_in_two_editions_of_one_cadence(press: Press) -> None:
    press.add_subscribers(ANNE)
    for number, on in enumerate([THURSDAY, FRIDAY, SATURDAY]):
        press.add_papers(2 * number, 2 * number + 1, on=on)
        press.publish(on)
    press.publish(FRIDAY, Cadence.WEEKDAYS)
    with press.sessions() as session:
        placed = session.execute(select(EditionPaper.cadence, EditionPaper.paper_id)).all()
    assert len(placed) == len(set(placed)) == 6 + 4
    sent = [i for row in press.rows() for i in row.paper_ids]
    assert len(sent) == len(set(sent)) == 6


def test_a_subscriber_who_changes_cadence_is_not_sent_a_paper_again(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    press.change(anne, cadence=Cadence.WEEKDAYS)
    fresh = press.add_papers(2)["arxiv:2609.00002"]
    weekdays = press.publish(cadence=Cadence.WEEKDAYS)
    assert digest_of(press, weekdays).paper_ids == (fresh,)


def test_withdrawn_replaced_and_too_old_papers_are_left_out(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1, on=FRIDAY - timedelta(days=15))
    press.add_papers(
        announcements=[
            make_announcement(2, "Withdrawn", is_withdrawn=True),
            make_announcement(3, "Replaced", announce_type=AnnounceType.REPLACE),
        ]
    )
    assert press.states(press.publish()) == {"skipped: empty": 1}


def test_digests_of_a_scheduled_edition_are_due_at_each_subscribers_hour(press: Press) -> None:
    press.add_subscribers(ANNE, hour=8, zone="Europe/Berlin")
    press.add_subscribers(BERT, hour=7, zone="America/New_York")
    press.add_subscribers(CLEO, hour=3)
    press.add_papers(1)
    for chunk in open_friday(press):
        compose_chunk(press.sessions, press.settings, chunk, press.clock())
    due = [row.due_at.astimezone(UTC).hour for row in press.rows()]
    # Cleo's hour was over when the edition opened at five: hers is the next one.
    assert due == [6, 11, 3]
    assert press.rows()[2].due_at.date() == SATURDAY
    assert {row.send_not_after - row.due_at for row in press.rows()} == {timedelta(hours=20)}
    assert deliver(press.sender(PlannedTransport())).sent == 0
    press.clock.forward(hours=1)
    assert deliver(press.sender(PlannedTransport())).sent == 1
    assert force_due(press.sessions, 1, press.clock()) == 2
    assert deliver(press.sender(PlannedTransport())).sent == 2


@pytest.fixture
def two_categories(press: Press) -> None:
    changes = {"arxiv_categories": ("cs.CL", "cs.LG"), "sources": ("arxiv",)}
    press.settings = press.settings.model_copy(update=changes)


def open_due(press: Press) -> list[tuple[Cadence, date]]:
    open_due_editions(press.sessions, press.settings, press.clock())
    return [(edition.cadence, edition.local_date) for edition in editions(press)]


@pytest.mark.usefixtures("two_categories")
def test_an_edition_opens_when_its_batches_are_complete_and_once(press: Press) -> None:
    press.add_subscribers(ANNE)
    with press.sessions() as session:
        store_papers(session, [], category="cs.LG", state=BatchState.PARTIAL)
    press.add_papers(1)
    assert open_due(press) == []
    with press.sessions() as session:
        store_papers(session, [], category="cs.LG", state=BatchState.COMPLETE)
    both = [(Cadence.DAILY, FRIDAY), (Cadence.WEEKDAYS, FRIDAY)]
    assert open_due(press) == both
    assert open_due(press) == both
    with press.sessions() as session:
        assert len(session.execute(select(EditionChunk)).all()) == 1


@pytest.mark.usefixtures("two_categories")
def test_an_edition_opens_incomplete_at_the_deadline_and_says_so(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    with press.sessions() as session:
        store_papers(session, [], category="cs.LG", state=BatchState.PARTIAL)
    press.clock.now = datetime(2026, 9, 18, 13, 59, tzinfo=UTC)
    assert open_due(press) == []
    press.clock.forward(minutes=1)
    assert (Cadence.DAILY, FRIDAY) in open_due(press)
    coverage = press.edition(1).coverage
    assert (coverage["is_complete"], coverage["note"]) == (False, "Not complete yet: cs.LG.")


def test_a_digest_is_never_inserted_twice_for_a_subscriber(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    (chunk,) = open_friday(press)
    compose_chunk(press.sessions, press.settings, chunk, press.clock())
    with press.sessions.begin() as session:
        # As if `composed_at` had been lost with a failing disk: the unique key still holds.
        session.get_one(EditionChunk, chunk).composed_at = None
    compose_chunk(press.sessions, press.settings, chunk, press.clock())
    assert [row.state for row in press.rows()] == [DeliveryState.QUEUED]
