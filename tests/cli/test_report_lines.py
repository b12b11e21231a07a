"""Lines about batches and editions for an operator."""

from datetime import date

from service.cli.report_lines import batch_table, edition_lines
from service.deliveries.domain.recipients import Cadence
from service.editions.balance import Balance
from service.papers.domain.types import BatchState
from service.papers.ingest import BatchReport

ON = date(2026, 9, 18)


def test_a_batch_table_has_no_empty_columns() -> None:
    quiet = BatchReport("arxiv", "cs.CL", ON, BatchState.COMPLETE, {}, note="unchanged")
    assert batch_table([quiet]).splitlines() == [
        "batch                   state     note",
        "arxiv cs.CL 2026-09-18  complete  unchanged",
    ]
    counts = {"new": 3, "replace": 1, "replace-cross": 1}
    full = BatchReport("arxiv", "cs.CV", ON, BatchState.PARTIAL, counts, 3, error="cut off")
    assert batch_table([quiet, full]).splitlines() == [
        "batch                   state     new  replaced  stored  note",
        "arxiv cs.CL 2026-09-18  complete    0         0       0  unchanged",
        "arxiv cs.CV 2026-09-18  partial     3         2       3  cut off",
    ]


def test_an_edition_that_is_being_composed_has_no_balance_yet() -> None:
    composing = Balance(4, Cadence.WEEKLY, ON, "open", None, 1, None, {}, closes=False)
    assert edition_lines(composing) == [
        "Weekly edition of 2026-09-18: number 4, open, 1 paper",
        "Its digests are still being composed.",
    ]
