"""Batches and editions as tables: what was announced, and what became of every digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.cli.desk import counted, table

if TYPE_CHECKING:
    from service.actions.balance import Balance
    from service.actions.ingest import BatchReport


def batch_name(report: BatchReport) -> str:
    return " ".join(filter(None, (report.source, report.category, str(report.announced_on))))


def batch_table(reports: Sequence[BatchReport]) -> str:
    """What one look at each batch brought; `stored` are papers that were not known before.

    Columns in which nothing stands are left out, so that the usual day fits a terminal.
    """
    rows = [_batch_row(report) for report in reports]
    filled = [name for name in rows[0] if any(row[name] for row in rows)]
    return table(filled, [[row[name] for name in filled] for row in rows])


def _batch_row(report: BatchReport) -> dict[str, object]:
    count = report.counts.get
    return {
        "batch": batch_name(report),
        "state": report.state,
        ">new": count("new", 0),
        ">cross": count("cross", 0),
        ">replaced": count("replace", 0) + count("replace-cross", 0),
        ">listed": count("listed", 0),
        ">withdrawn": report.withdrawn_count,
        ">stored": report.stored_count,
        ">unreadable": report.bad_count,
        "note": report.error or report.note,
    }


def edition_lines(balance: Balance) -> list[str]:
    """The accounting of an edition, for people."""
    title = (
        f"{balance.cadence.capitalize()} edition of {balance.local_date}: number "
        f"{balance.edition_id}, {balance.state}, {counted(balance.paper_count, 'paper')}"
    )
    if balance.candidate_count is None:
        return [title, "Its digests are still being composed."]
    rows = [*balance.states.items(), ("candidates", balance.candidate_count)]
    verdict = "The balance closes." if balance.closes else "THE BALANCE DOES NOT CLOSE."
    return [title, table(("state", ">digests"), rows), verdict]
