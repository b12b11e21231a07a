"""Cached pages: one cheap statement a visit, and nothing stale after any change that pages show."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted
from support.web.site import Subscribers

from service.papers.domain.types import BatchState
from service.papers.store.votes import delete_pick, record_pick

PAGES = ("/", "/daily/2026-09-18", "/weekly/2026-W38", "/monthly/2026-09?sort=newest")
PAPER, SEARCH = "/papers/arxiv:2609.00001", "/search?q=cat:cs.CL"
ALL = (*PAGES, PAPER, SEARCH)
NOW = datetime(2026, 9, 18, 12, tzinfo=UTC)


@contextmanager
def counting(engine: Engine) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def token_of(page: str) -> str:
    (found,) = re.findall(r'name="token" value="([^"]+)"', page)
    return str(found)


@pytest.fixture
def paper(session: Session) -> int:
    return store_papers(session, [make_announcement(1, "Cats")])["arxiv:2609.00001"]


@pytest.mark.parametrize("path", ALL)
@pytest.mark.usefixtures("paper")
def test_a_second_visit_costs_one_statement_and_has_a_form_of_its_own(
    web: httpx2.Client, engine: Engine, path: str
) -> None:
    first = web.get(path).text
    with counting(engine) as statements:
        second = web.get(path).text
    assert len([each for each in statements if "paper_changes" in each]) == 1
    assert len(statements) == 1
    if path in {PAPER, SEARCH}:
        assert first == second
    else:
        tokens = token_of(first), token_of(second)
        assert first.replace(tokens[0], "") == second.replace(tokens[1], "")
        assert len(tokens[0]) > 40


@pytest.mark.parametrize("path", [*ALL, "/search?q=cats"])
@pytest.mark.usefixtures("paper")
def test_every_table_that_a_page_reads_tells_what_changes(
    web: httpx2.Client, session: Session, engine: Engine, path: str
) -> None:
    with counting(engine) as statements:
        assert web.get(path).status_code == 200
    read = {
        table
        for table in session.scalars(
            text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')")
        )
        if any(re.search(rf"\b(?:FROM|JOIN)\s+{table}\b", each) for each in statements)
    }
    told = set(
        session.scalars(
            text(
                "SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgname LIKE 'tell%'"
            )
        )
    )
    assert "papers" in read
    assert read - told - {"paper_changes"} == set()


@pytest.mark.usefixtures("paper")
def test_a_search_by_likeness_is_made_each_time(web: httpx2.Client, engine: Engine) -> None:
    path = '/search?q=LIKE:"cats and dogs" OR cats'
    assert "Cats" in web.get(path).text.replace("<mark>", "").replace("</mark>", "")
    with counting(engine) as statements:
        web.get(path)
    assert any("FROM papers" in each for each in statements)


def _store_another(session: Session, _paper: int) -> None:
    store_papers(session, [make_announcement(1, "Cats"), make_announcement(2, "Dogs")])


def _correct(session: Session, paper: int) -> None:
    session.execute(text("UPDATE papers SET title = 'Kittens' WHERE id = :id"), {"id": paper})


def _withdraw(session: Session, paper: int) -> None:
    session.execute(text("UPDATE papers SET is_withdrawn = true WHERE id = :id"), {"id": paper})


def _pick(session: Session, paper: int) -> None:
    record_pick(session, paper, "Read it twice.", NOW)


def _upvote(session: Session, _paper: int) -> None:
    store_papers(session, [make_announcement(1, "Cats", signals=upvoted(77))])


def _vote(session: Session, paper: int) -> None:
    session.execute(
        text(
            "INSERT INTO votes (paper_id, subscriber_id, mailbox, domain, weight, created_at, changed_at)"
            " SELECT :id, id, '\\x00', 'example.org', 1, now(), now() FROM subscribers"
        ),
        {"id": paper},
    )


CHANGES: tuple[tuple[Callable[[Session, int], None], str, tuple[str, ...]], ...] = (
    (_store_another, "Dogs", (*PAGES, SEARCH)),
    (_correct, "Kittens", ALL),
    (_withdraw, "withdrawn", ALL),
    (_pick, "Read it twice.", ALL),
    (_upvote, "77<span", (*PAGES, SEARCH)),
    (_upvote, "77 upvotes", (PAPER,)),
    (_vote, "1 vote", ALL),
)


@pytest.mark.parametrize(("change", "shown", "paths"), CHANGES)
def test_a_change_shows_at_once(
    *,
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    paper: int,
    change: Callable[[Session, int], None],
    shown: str,
    paths: tuple[str, ...],
) -> None:
    subscribers.add("voter@example.org")
    for path in paths:
        assert shown not in web.get(path).text
    change(session, paper)
    session.commit()
    for path in paths:
        assert shown in web.get(path).text, path


def test_what_is_taken_back_is_gone_at_once(
    web: httpx2.Client, session: Session, paper: int
) -> None:
    record_pick(session, paper, "Read it twice.", NOW)
    session.commit()
    assert "Read it twice." in web.get(PAPER).text
    delete_pick(session, paper)
    session.commit()
    assert "Read it twice." not in web.get(PAPER).text
    session.execute(text("DELETE FROM papers"))
    session.commit()
    assert web.get(PAPER).status_code == 404
    assert "Cats" not in web.get("/").text


def test_the_state_of_a_day_and_its_note_show_at_once(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats")], state=BatchState.PARTIAL)
    before = web.get("/").text
    store_papers(session, [make_announcement(1, "Cats")])
    after = web.get("/").text
    assert 'class="whole"' not in before
    assert 'class="whole"' in after
    session.execute(
        text(
            "INSERT INTO editions (cadence, local_date, state, opened_at, note)"
            " VALUES ('daily', :on, 'open', now(), 'Good *morning*.')"
        ),
        {"on": FRIDAY},
    )
    session.commit()
    assert "Good <em>morning</em>." in web.get("/").text


def test_a_page_made_before_a_commit_is_not_used_after_it(
    web: httpx2.Client, session: Session, paper: int
) -> None:
    _correct(session, paper)
    session.flush()
    # This transaction began first, and its change is not in the snapshot of the page.
    assert "Cats" in web.get(PAPER).text
    session.commit()
    assert "Kittens" in web.get(PAPER).text


def test_a_page_that_is_not_there_yet_is_not_remembered(
    web: httpx2.Client, session: Session
) -> None:
    assert web.get(PAPER).status_code == 404
    store_papers(session, [make_announcement(1, "Cats")], on=THURSDAY)
    assert web.get(PAPER).status_code == 200
