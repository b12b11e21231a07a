"""`/status`: whether each day was complete."""

from datetime import date, datetime, timedelta

import httpx2
from sqlalchemy.orm import Session

from service.operations.figures import batch_line
from service.papers.domain.types import BatchState
from service.papers.store.batches import open_batch
from service.papers.store.models import Batch
from service.web.pages.status import describe_batch, draw_status

FRIDAY = date(2026, 9, 18)


def make_batch(session: Session, on: date, state: BatchState, now: datetime) -> Batch:
    batch = open_batch(session, "arxiv", "cs.CL", on, now)
    batch.state, batch.announced_count = state, 412
    return batch


def test_a_new_installation_says_that_nothing_was_fetched(web: httpx2.Client) -> None:
    page = web.get("/status")
    assert page.status_code == 200
    assert "No papers have been fetched yet." in page.text


def test_each_of_thirty_days_has_a_label(
    web: httpx2.Client, session: Session, now: datetime
) -> None:
    make_batch(session, FRIDAY, BatchState.COMPLETE, now).expected_count = 412
    late = make_batch(session, FRIDAY - timedelta(days=1), BatchState.CLOSED, now)
    late.late_count, late.note = 3, "closed with 409 of 412 papers"
    make_batch(session, FRIDAY - timedelta(days=30), BatchState.PARTIAL, now)
    session.commit()
    page = web.get("/status").text
    assert "arXiv cs.CL: 1 of 2 days complete" in page
    assert "Fri 18 Sep: complete, 412 papers" in page
    assert "Thu 17 Sep: closed, 412 papers, 3 late, closed with 409 of 412 papers" in page
    assert page.count('class="none"') == 28
    assert "partial, 412" not in page


def test_the_chart_has_a_row_a_category_and_a_square_a_day(session: Session, now: datetime) -> None:
    batch = make_batch(session, FRIDAY, BatchState.EXPECTED, now)
    line = batch_line(batch)
    picture = draw_status([line], FRIDAY - timedelta(days=2), FRIDAY)
    assert [row.name for row in picture.rows] == ["arXiv cs.CL"]
    assert [cell.look for cell in picture.rows[0].chart.pieces] == ["none", "none", "expected"]
    assert picture.latest == (line,)
    assert describe_batch(FRIDAY, None) == "Fri 18 Sep: not fetched"
    assert draw_status([], FRIDAY, FRIDAY).rows == ()
