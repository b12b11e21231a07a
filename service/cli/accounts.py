"""Batches and editions as tables: what was announced, and what became of every digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.cli.desk import counted, table

if TYPE_CHECKING:
    from service.actions.balance import Balance
    from service.actions.ingest import BatchReport

BATCH_COLUMNS = (
    "batch", "state", ">new", ">cross", ">replaced", ">listed", ">withdrawn", ">stored",
    ">unreadable", "note",
)  # fmt: skip


def batch_name(report: BatchReport) -> str:
    return " ".join(filter(None, (report.source, report.category, str(report.announced_on))))


def batch_table(reports: Sequence[BatchReport]) -> object:
    """What one look at each batch brought; `stored` are papers that were not known before."""
    return table("", BATCH_COLUMNS, [_batch_row(report) for report in reports])


def _batch_row(report: BatchReport) -> tuple[object, ...]:
    count = report.counts.get
    replaced = count("replace", 0) + count("replace-cross", 0)
    return (
        batch_name(report), report.state, count("new", 0), count("cross", 0), replaced,
        count("listed", 0), report.withdrawn_count, report.stored_count, report.bad_count,
        report.error or report.note,
    )  # fmt: skip


def edition_lines(balance: Balance) -> list[object]:
    """The accounting of an edition, for people."""
    title = (
        f"{balance.cadence.capitalize()} edition of {balance.local_date}: number "
        f"{balance.edition_id}, {balance.state}, {counted(balance.paper_count, 'paper')}"
    )
    rows: list[tuple[object, object]] = list(balance.states.items())
    candidates = "not counted yet" if balance.candidate_count is None else balance.candidate_count
    made = table(title, ("digests", ">"), [*rows, ("candidates", candidates)])
    if balance.candidate_count is None:
        return [made]
    return [made, "The balance closes." if balance.closes else "THE BALANCE DOES NOT CLOSE."]
