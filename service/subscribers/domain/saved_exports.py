"""Saved papers as files: BibTeX, RIS, CSV, and CSL-JSON, each with tags and notes."""

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from service.papers.domain.citations.bibtex import write_bibtex
from service.papers.domain.citations.citation import Citation, cite, unique_keys
from service.papers.domain.citations.csl_json import to_csl, write_csl
from service.papers.domain.citations.ris import write_ris
from service.subscribers.domain.saved import SavedPaper

# A paper with its citation and the key that it has in the file.
_Row: TypeAlias = tuple[SavedPaper, Citation, str]

_COLUMNS: Final = (
    "key", "title", "authors", "date", "tags", "note", "url", "doi", "arxiv", "saved_on", "abstract"
)  # fmt: skip
# Spreadsheets take a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of the export: its name for people, its content type, and what writes it."""

    label: str
    media_type: str
    write: Callable[[Sequence[_Row]], str]


def write_export(
    form: str, saved: Sequence[SavedPaper], wanted_ids: Collection[int] | None = None
) -> bytes:
    """Return the file with the papers in `wanted_ids`, or all. Raises `KeyError` for an unknown format.

    `saved` are all saved papers, the last saved first: keys are counted over all of them from the
    oldest on, so that they depend neither on the choice nor on what is saved later.
    """
    oldest_first = saved[::-1]
    citations = [cite(one.paper) for one in oldest_first]
    rows = zip(oldest_first, citations, unique_keys(citations), strict=True)
    chosen = [row for row in rows if wanted_ids is None or row[0].paper.id in wanted_ids]
    return FORMATS[form].write(chosen).encode()


def _write_bibtex(rows: Sequence[_Row]) -> str:
    return "\n".join(
        write_bibtex(citation, key, tags=one.tags, note=one.note) for one, citation, key in rows
    )


def _write_ris(rows: Sequence[_Row]) -> str:
    return "\r\n".join(
        write_ris(citation, key, tags=one.tags, note=one.note) for one, citation, key in rows
    )


def _write_csl(rows: Sequence[_Row]) -> str:
    return write_csl(
        [to_csl(citation, key, tags=one.tags, note=one.note) for one, citation, key in rows]
    )


def _write_csv(rows: Sequence[_Row]) -> str:
    """Return the table with a byte order mark, without which Excel reads no UTF-8 (RFC 4180 otherwise)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for one, citation, key in rows:
        values = (
            key,
            citation.title,
            "; ".join(one.paper.authors),
            citation.write_date("-"),
            ", ".join(one.tags),
            one.note,
            citation.url,
            citation.doi,
            citation.arxiv_id,
            one.saved_at.date().isoformat(),
            citation.abstract,
        )
        writer.writerow(f"'{each}" if each.startswith(_FORMULAS) else each for each in values)
    return f"\ufeff{text.getvalue()}"


# By the last part of the file's name.
FORMATS: Final[Mapping[str, ExportFormat]] = {
    "bib": ExportFormat("BibTeX", "application/x-bibtex; charset=utf-8", _write_bibtex),
    "ris": ExportFormat("RIS", "application/x-research-info-systems; charset=utf-8", _write_ris),
    "csv": ExportFormat("CSV", "text/csv; charset=utf-8", _write_csv),
    "json": ExportFormat("CSL-JSON", "application/vnd.citationstyles.csl+json", _write_csl),
}
