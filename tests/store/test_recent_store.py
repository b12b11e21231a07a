"""Reading the last days, and the newest papers that a topic finds."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select, text, true
from sqlalchemy.orm import Session
from support.web_papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.domain.query import parse_query
from service.store.models import PaperRow
from service.store.recent import (
    find_newest_ids,
    iterate_common_words,
    read_changed_at,
    read_fingerprint,
    read_recent,
)
from service.store.topic_sql import to_sql


def store_years(session: Session) -> list[int]:
    """Papers of four years, ever rarer; returns their ids, newest first."""
    for number in range(1, 41):
        on = FRIDAY - timedelta(days=number * number)
        store_papers(session, [make_announcement(number, f"Cats {number}")], on=on)
    return list(session.scalars(select(PaperRow.id).order_by(PaperRow.first_announced_on.desc())))


def test_the_newest_come_first_and_no_more_than_asked(session: Session) -> None:
    newest_first = store_years(session)
    cats = to_sql(parse_query("cats"))
    for most in (1, 2, 3, 10, 40, 1000):
        assert find_newest_ids(session, cats, most) == newest_first[:most], most
    assert find_newest_ids(session, to_sql(parse_query("unicorns")), 10) == []


def test_papers_of_one_day_come_by_key_and_stubs_not_at_all(session: Session) -> None:
    told = [make_announcement(n, f"Cats {n}") for n in (2, 1, 3)]
    ids = store_papers(session, told)
    session.execute(text("UPDATE papers SET first_announced_on = NULL WHERE title = 'Cats 2'"))
    assert find_newest_ids(session, true(), 9) == [ids["arxiv:2609.00003"], ids["arxiv:2609.00001"]]


def test_an_empty_store_has_nothing_recent(session: Session) -> None:
    assert find_newest_ids(session, true(), 10) == []
    assert read_recent(session, THURSDAY, FRIDAY) == []
    assert read_fingerprint(session, THURSDAY, FRIDAY) == (0, 0)
    assert read_changed_at(session, []) is None
    assert list(iterate_common_words(session, THURSDAY, FRIDAY, 1)) == []


def test_the_fingerprint_changes_with_every_paper_of_the_span_and_no_other(
    session: Session,
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    before = read_fingerprint(session, THURSDAY, FRIDAY)
    store_papers(session, [make_announcement(2, "Old Cats")], on=date(2026, 1, 5))
    assert read_fingerprint(session, THURSDAY, FRIDAY) == before
    session.execute(text("UPDATE papers SET title = title WHERE title = 'Cats'"))
    session.commit()
    assert read_fingerprint(session, THURSDAY, FRIDAY) != before


def test_recent_papers_bring_their_lexemes_and_common_words_their_papers(session: Session) -> None:
    ids = store_papers(session, [make_announcement(n, f"Cats {n}") for n in (1, 2)])
    first, second = read_recent(session, THURSDAY, FRIDAY)
    assert (first.title, second.title) == ("Cats 2", "Cats 1")
    assert set(first.title_lexemes) == {"cat", "2"}
    assert first.categories == ("cs.CL",)
    words = dict(iterate_common_words(session, THURSDAY, FRIDAY, 2))
    assert set(words["cat"]) == set(ids.values())
    assert "1" not in words
