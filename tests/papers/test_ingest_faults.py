"""Ingest with a faulty source: the error is one line, and nothing already stored is lost."""

import gzip
from datetime import date

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, read_tables
from support.servers.loopback_http import Response
from support.sources.feeds import Told, render_feed
from support.sources.provider import Provider, morning

from service.papers.domain.types import BatchState
from service.papers.store.batches import count_announced, find_batch, get_batches

THURSDAY, FRIDAY = date(2026, 9, 17), date(2026, 9, 18)
WHOLE = render_feed(FRIDAY, Told(11), Told(12))
ERROR_FEED = (
    b"<rss version='2.0'><channel><title>Feed error for query: cs.XX</title>"
    b"<description>Invalid archive or subject class name: 'cs.XX'</description></channel></rss>"
)
ANSWERS: dict[str, Response] = {
    "cut off": (200, {}, WHOLE[: len(WHOLE) // 2]),
    "malformed": (200, {}, WHOLE.replace(b"</channel>", b"</chanel>")),
    "a page of HTML": (200, {}, b"<!DOCTYPE html><html><body>Rate exceeded.</body></html>"),
    "an empty answer": (200, {}, b""),
    "badly compressed": (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08 not gzip at all"),
    "compressed and cut": (200, {"Content-Encoding": "gzip"}, gzip.compress(WHOLE)[:60]),
    "an error feed": (200, {}, ERROR_FEED),
    "another document": (200, {}, b"<?xml version='1.0'?><OAI-PMH/>"),
    "a bomb": (200, {}, b"<!DOCTYPE a [<!ENTITY b 'c'>]><rss><channel>&b;</channel></rss>"),
    "not found": (404, {}, b"no such\nfeed\n"),
    "away": (503, {"Retry-After": "120"}, b"<html>Service\nUnavailable</html>"),
    "broken": (500, {}, b""),
    "redirected in circles": (302, {"Location": "/rss/cs.CL"}, b""),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_a_bad_answer_is_reported_in_one_line_and_nothing_stored_is_lost(
    provider: Provider, engine: Engine, session: Session, fault: str
) -> None:
    provider.show(render_feed(THURSDAY, Told(1), Told(2)))
    provider.look(THURSDAY)
    before = read_tables(engine)
    provider.http.routes["/rss/cs.CL"] = ANSWERS[fault]
    report = provider.look(FRIDAY)
    assert (report.state, report.announced_on) == (BatchState.EXPECTED, FRIDAY)
    assert report.error
    assert report.error.isprintable()
    assert len(report.error) < 400
    assert changed_tables(before, read_tables(engine)) == {"batches"}
    batch = find_batch(session, "arxiv", "cs.CL", FRIDAY)
    assert batch is not None
    assert batch.note == report.error[:300]
    provider.show(WHOLE)
    assert provider.look(FRIDAY).state is BatchState.COMPLETE


@pytest.mark.parametrize("fault", ["cut off", "away"])
def test_a_bad_answer_leaves_a_complete_batch_unchanged(
    provider: Provider, engine: Engine, fault: str
) -> None:
    provider.show(WHOLE)
    provider.look(FRIDAY)
    before = read_tables(engine)
    provider.http.routes["/rss/cs.CL"] = ANSWERS[fault]
    (report,) = provider.ingest(morning(FRIDAY), on=FRIDAY)
    assert report.error
    assert report.state is BatchState.COMPLETE
    assert changed_tables(before, read_tables(engine)) == set()


def test_the_note_of_a_fault_is_removed_when_the_day_is_complete(
    provider: Provider, session: Session
) -> None:
    provider.http.routes["/rss/cs.CL"] = ANSWERS["away"]
    provider.look(FRIDAY)
    provider.show(WHOLE)
    provider.look(FRIDAY)
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.state, batch.note) == (BatchState.COMPLETE, "")


def test_a_category_that_fails_does_not_stop_the_others(provider: Provider) -> None:
    provider.show(WHOLE, "cs.LG")
    first, second = provider.ingest(morning(FRIDAY), "cs.XX", "cs.LG")
    assert "HTTP 404" in first.error
    assert (second.state, second.error) == (BatchState.COMPLETE, "")


BAD_ITEMS = {
    "no identifier": "<item><title>A title</title></item>",
    "no title": "<item><guid>oai:arXiv.org:2609.00077v1</guid></item>",
    "no arXiv paper": "<item><title>A title</title><guid>oai:other.org:1</guid></item>",
    "an unknown type": """<item><title>A title</title><guid>oai:arXiv.org:2609.00077v1</guid>
        <arxiv:announce_type>retracted</arxiv:announce_type></item>""",
    "a version that no paper has": """<item><title>A title</title>
        <guid>oai:arXiv.org:2609.00077v99999</guid>
        <arxiv:announce_type>new</arxiv:announce_type></item>""",
    "a repetition": """<item><title>A title</title><guid>oai:arXiv.org:2609.00001v1</guid>
        <arxiv:announce_type>new</arxiv:announce_type></item>""",
}


@pytest.mark.parametrize("fault", BAD_ITEMS)
def test_one_bad_entry_is_counted_and_the_rest_is_stored(
    provider: Provider, session: Session, fault: str
) -> None:
    provider.show(render_feed(FRIDAY, Told(1), Told(2), extra=BAD_ITEMS[fault]))
    report = provider.look(FRIDAY)
    assert (report.state, report.stored_count, report.bad_count) == (BatchState.COMPLETE, 2, 1)
    assert report.note.startswith("1 entry unreadable: entry 3: ")
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.announced_count, batch.bad_count) == (2, 1)


def test_a_day_without_a_readable_entry_is_counted_and_fetched_again(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, extra=BAD_ITEMS["no title"]), headers={"ETag": '"x"'})
    report = provider.look(FRIDAY)
    assert (report.state, report.bad_count) == (BatchState.PARTIAL, 1)
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.bad_count, batch.etag) == (1, "")
    provider.show(WHOLE)
    assert provider.look(FRIDAY).bad_count == 0


def test_an_entry_with_everything_odd_in_it_is_stored(provider: Provider, session: Session) -> None:
    odd = Told(
        1,
        title=r"A \'etude of $\alpha < \beta$ & <b>bold</b> 世界 \x07",
        abstract="word " * 20_000,
        categories=("cs.CL", "68T50 (Primary) 03B65 (Secondary)", "I.2.7; F.4.1", "x" * 2000),
    )
    provider.show(render_feed(FRIDAY, odd, Told(2)))
    report = provider.look(FRIDAY)
    assert (report.error, report.stored_count) == ("", 2)
    assert count_announced(session, FRIDAY, ["arxiv"]) == 2
