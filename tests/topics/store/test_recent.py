"""Queries for the papers of the last days, their changes, and the newest papers of a topic."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text, true
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.papers.store.models import Paper, PaperChange
from service.papers.store.paper_changes import delete_old_changes, list_changes
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import learn_meanings
from service.topics.domain.language import parse_query
from service.topics.store.recent import (
    begin_snapshot,
    count_recent,
    find_ids,
    find_newest_ids,
    iterate_common_words,
    select_changed_at,
    select_recent,
    snapshot_includes,
)
from service.topics.store.to_sql import to_sql


def store_years(session: Session) -> list[int]:
    """Store papers of four years, fewer in older years; returns their ids, newest first."""
    for number in range(1, 41):
        on = FRIDAY - timedelta(days=number * number)
        store_papers(session, [make_announcement(number, f"Cats {number}")], on=on)
    return list(session.scalars(select(Paper.id).order_by(Paper.first_announced_on.desc())))


def test_the_newest_papers_come_first_up_to_the_limit(session: Session) -> None:
    newest_first = store_years(session)
    cats = to_sql(parse_query("cats"))
    for most in (1, 2, 3, 10, 40, 1000):
        assert find_newest_ids(session, cats, most) == newest_first[:most], most
    assert find_newest_ids(session, to_sql(parse_query("unicorns")), 10) == []


def test_papers_of_one_day_are_ordered_by_key_without_stubs(session: Session) -> None:
    announcements = [make_announcement(n, f"Cats {n}") for n in (2, 1, 3)]
    ids = store_papers(session, announcements)
    session.execute(text("UPDATE papers SET first_announced_on = NULL WHERE title = 'Cats 2'"))
    assert find_newest_ids(session, true(), 9) == [ids["arxiv:2609.00003"], ids["arxiv:2609.00001"]]


def test_an_empty_database_has_no_recent_papers(session: Session) -> None:
    assert find_newest_ids(session, true(), 10) == []
    assert select_recent(session, (THURSDAY, FRIDAY)) == []
    assert count_recent(session, (THURSDAY, FRIDAY)) == 0
    assert select_changed_at(session, []) is None
    assert list(iterate_common_words(session, (THURSDAY, FRIDAY), 1)) == []


def test_each_look_for_a_topic_is_planned_for_its_own_words(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    store_years(session)
    # The driver prepares a statement at its sixth use; Postgres plans five uses for their own values,
    # and may then take a plan for any.
    count_generic = text(
        "SELECT sum(generic_plans) FROM pg_prepared_statements WHERE statement ~ '@@'"
    )
    with sessions() as asking:
        for number in range(1, 20):
            with asking.begin():
                begin_snapshot(asking, 1_000)
                find_ids(asking, to_sql(parse_query(str(number))), (THURSDAY, FRIDAY))
            with asking.begin():
                assert len(find_newest_ids(asking, to_sql(parse_query(str(number))), 5)) == 1
        assert asking.scalar(count_generic) == 0


def look(sessions: sessionmaker[Session]) -> str:
    """Return the current `pg_snapshot`."""
    with transaction(sessions) as session:
        return begin_snapshot(session, 1_000)


def test_each_new_changed_or_deleted_paper_is_listed_once(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    start = look(sessions)
    ids = store_papers(session, [make_announcement(n, f"Cats {n}") for n in (1, 2, 3)])
    first, second, third = ids.values()
    assert sorted(list_changes(session, start)) == [first, second, third]
    stored = look(sessions)
    assert list_changes(session, stored) == []
    session.execute(text("UPDATE papers SET title = 'Dogs' WHERE id = :i"), {"i": second})
    # Not a change: columns that no preview reads, and an update to the same title.
    session.execute(text("UPDATE papers SET trend = 99, title = title WHERE id = :i"), {"i": third})
    session.commit()
    assert list_changes(session, stored) == [second]
    changed = look(sessions)
    session.execute(text("DELETE FROM papers WHERE id = :i"), {"i": first})
    session.commit()
    assert list_changes(session, changed) == [first]
    assert sorted(list_changes(session, start)) == [first, second, third]


def test_a_new_embedding_is_a_change_of_the_paper(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    ids = store_papers(session, [make_announcement(1, "Cats")])
    state = look(sessions)
    assert learn_meanings(sessions, settings) == 1
    assert list_changes(session, state) == [*ids.values()]


def test_changes_of_a_late_commit_are_listed_despite_its_low_transaction_id(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    with sessions() as late:
        store_one(late, "late")
        with sessions.begin() as early:
            store_one(early, "early")
        state = look(sessions)
        assert list_changes(session, state) == []
        late.commit()
    session.rollback()
    (late_id,) = session.scalars(select(Paper.id).where(Paper.title == "late"))
    assert list_changes(session, state) == [late_id]
    assert snapshot_includes(look(sessions), state)
    assert not snapshot_includes(state, look(sessions))
    assert snapshot_includes(state, state)


def store_one(session: Session, title: str) -> None:
    session.execute(
        text(
            "INSERT INTO papers (key, source, identifier, version, title, title_raw, abstract,"
            " abstract_raw, authors, author_keys, categories, created_at, updated_at)"
            " VALUES (:t, 's', :t, 1, :t, '', '', '', '{}', '{}', '{}', now(), now())"
        ),
        {"t": title},
    )


@pytest.mark.parametrize(
    ("state", "other", "is_covered"),
    [
        ("5:9:5,7", "5:9:5,7", True),
        ("7:9:7", "5:9:5,7", True),
        ("5:9:5,7", "7:9:7", False),
        ("5:12:5,7,11", "5:9:5,7", True),
        ("5:9:5", "5:12:5", False),
        ("9:9:", "9:9:", True),
        ("10:11:", "9:9:", True),
    ],
)
def test_a_snapshot_includes_another_if_it_sees_all_its_transactions(
    state: str, other: str, *, is_covered: bool
) -> None:
    assert snapshot_includes(state, other) is is_covered


def test_logged_changes_are_deleted_after_two_days(session: Session) -> None:
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in (1, 2)])
    session.execute(
        text(
            "UPDATE paper_changes SET changed_at = now() - interval '3 days' WHERE paper_id % 2 = 0"
        )
    )
    remaining = {i for i in session.scalars(select(PaperChange.paper_id)) if i % 2}
    delete_old_changes(session)
    assert {*session.scalars(select(PaperChange.paper_id))} == remaining
    assert len(remaining) == 1


def test_recent_papers_have_their_lexemes_and_common_words_their_papers(session: Session) -> None:
    ids = store_papers(session, [make_announcement(n, f"Cats {n}") for n in (1, 2)])
    second, first = sorted(
        select_recent(session, (THURSDAY, FRIDAY)), key=lambda paper: paper.title
    )
    assert (first.title, second.title) == ("Cats 2", "Cats 1")
    assert set(first.title_lexemes) == {"cat", "2"}
    assert first.categories == ("cs.CL",)
    assert first.abstract_lexemes == ()
    (again,) = select_recent(session, (THURSDAY, FRIDAY), [first.paper_id])
    assert {"cat", "studi"} <= set(again.abstract_lexemes)
    words = dict(iterate_common_words(session, (THURSDAY, FRIDAY), 2))
    assert set(words["cat"]) == set(ids.values())
    assert "1" not in words
