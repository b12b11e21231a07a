"""Read an import file row by row: its encoding, its format, and its rows with their lines.

Only one row is in memory at a time; a JSON array, which has no lines, is read whole.
"""

import codecs
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO, Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from service.deliveries.domain.recipients import (
    FULL_CARDS,
    SubscriberState,
    SuppressionReason,
    Timing,
)
from service.platform.time_zones import is_zone
from service.subscribers.domain.import_columns import (
    Columns,
    ImportFormat,
    ImportRow,
    RowFault,
    parse_addresses,
    recognize_columns,
)
from service.subscribers.domain.sign_up import ImportedConsent, ImportedState, SignUpForm
from service.subscribers.validate import WEEKDAYS
from service.topics.domain.measure import write_measure
from service.topics.domain.types import TopicMeasure


class ImportFault(ValueError):
    """A file cannot be read at all; the text is one line. Nothing was written."""


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not taken, with the line (1 is the first) on which it begins."""

    line: int
    email: str
    reason: str


FileRow = ImportRow | RejectedRow

# A row spans no more lines than this; else the quote that begins it was never closed.
MOST_LINES_OF_A_ROW = 200
_SAMPLE_BYTES = 4096
_UTF8 = "utf-8-sig"
_NO_TEXT = "this is not text; save it as CSV in UTF-8"
# Bytes that are not UTF-8, in a text that was decoded with `surrogateescape`.
_WRONG_BYTES = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
_NOT_UTF8 = "a byte that is not UTF-8, unlike the rest of the file"


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A file with its encoding and its number of lines; `read` yields the rows."""

    path: Path
    encoding: str
    line_count: int

    @contextmanager
    def open_rows(self, defaults: SignUpForm) -> Iterator[tuple[ImportFormat, Iterator[FileRow]]]:
        """Yield the format and the rows, with `defaults` for fields that a row leaves empty.

        Raises `ImportFault` where the first line is neither an address nor names a column.
        """
        # `inspect_file` has decoded it. What is left are the five bytes that Windows-1252 lacks, and
        # wrong bytes in UTF-8, which cost their own row.
        errors = "surrogateescape" if self.encoding == _UTF8 else "replace"
        with self.path.open(encoding=self.encoding, errors=errors, newline="") as file:
            yield _recognize(file, defaults)


def inspect_file(path: Path) -> ImportSource:
    """Return a file's encoding and length. Raises `ImportFault` for what is no text, and OSError."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
        if sample.startswith(b"PK\x03\x04"):
            raise ImportFault(
                "this is a zip archive or a spreadsheet: unpack it, or save it as CSV"
            )
        encoding = _encoding_of(sample)
        errors = "surrogateescape" if encoding == _UTF8 else "strict"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        lines = 1
        is_utf8, has_wrong_byte = sample.startswith(codecs.BOM_UTF8), False
        file.seek(0)
        block = b"."
        while block:
            block = file.read(1 << 16)
            lines += block.count(b"\n")
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise ImportFault(_NO_TEXT) from error
            if encoding == _UTF8 and not text.isascii():
                is_utf8 = is_utf8 or not text.encode(errors="ignore").isascii()
                has_wrong_byte = has_wrong_byte or _has_wrong_byte(text)
            if has_wrong_byte and b"\0" in block:
                raise ImportFault(_NO_TEXT)
    if has_wrong_byte and not is_utf8:
        # What Excel writes on Windows when it is not told to write UTF-8.
        encoding = "cp1252"
    return ImportSource(path, encoding, lines)


def _encoding_of(sample: bytes) -> str:
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in sample[:2]:
        return "utf-16-be" if sample[:1] == b"\0" else "utf-16-le"
    if b"\0" in sample:
        raise ImportFault(_NO_TEXT)
    return _UTF8


def _recognize(file: IO[str], defaults: SignUpForm) -> tuple[ImportFormat, Iterator[FileRow]]:
    lines = _Lines(file)
    first = lines.skip_blank()
    separator = ""
    if first.casefold().startswith("sep="):
        # Excel's own first line, which it hides.
        separator = next(lines).rstrip("\r\n")[4:]
        lines.drop()
        first = lines.skip_blank()
    if first.lstrip().startswith(("{", "[")):
        return ImportFormat.PAPERBOY, _own_rows(lines, first.lstrip()[0])
    header = _find_header(lines, separator)
    if header is not None:
        columns, separator = header
        return columns.format, _table_rows(lines, columns, separator, defaults)
    if _is_address_line(first):
        return ImportFormat.ADDRESSES, _address_rows(lines, defaults)
    names = first.strip()[:80].translate(_WRONG_BYTES) or "nothing"
    raise ImportFault(
        f"line {lines.first_line}: the first line must name the columns, one of them “email”, or be"
        f" an address; it is: {names}"
    )


def _is_address_line(line: str) -> bool:
    people = parse_addresses(1, line, SignUpForm())
    return all("@" in person.form.email for person in people)


def _find_header(lines: "_Lines", separator: str) -> tuple[Columns, str] | None:
    """Return the columns and the separator; the reader then stands behind the header."""
    found: list[tuple[int, Columns, str]] = []
    for each in [separator] if separator else [",", ";", "\t"]:
        lines.go_back()
        try:
            fields = next(csv.reader(lines, delimiter=each), [])
        except (csv.Error, TypeError):
            continue
        columns = recognize_columns(fields)
        if columns:
            found.append((len(fields), columns, each))
    lines.go_back()
    if not found:
        return None
    _, columns, separator = max(found, key=lambda one: one[0])
    next(csv.reader(lines, delimiter=separator))
    lines.drop()
    return columns, separator


class _Lines:
    """The lines of a file, of which those of the present row can be read again."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._taken: list[str] = []
        self._again: list[str] = []
        self.first_line = 1
        self.most = MOST_LINES_OF_A_ROW

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= self.most:
            raise csv.Error("a quote is not closed")
        line = self._again.pop() if self._again else next(self._file)
        self._taken.append(line)
        return line

    def drop(self) -> None:
        """Begin a new row behind the lines taken so far."""
        self.first_line += len(self._taken)
        self._taken.clear()

    def go_back(self, keep: int = 0) -> None:
        """Let the lines of the present row be read again, except its first `keep`."""
        self._again += reversed(self._taken[keep:])
        del self._taken[keep:]

    @property
    def has_wrong_byte(self) -> bool:
        return any(map(_has_wrong_byte, self._taken))

    def skip_blank(self) -> str:
        """Return the first line that is not blank, still to be read; empty at the end."""
        for line in self:
            if line.strip():
                self.go_back(len(self._taken) - 1)
                self.drop()
                return line
        return ""


def _table_rows(
    lines: _Lines, columns: Columns, separator: str, defaults: SignUpForm
) -> Iterator[FileRow]:
    records = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        try:
            fields = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            # Only the line with the fault is lost: the rows that an open quote took are read again.
            lines.go_back(1)
            yield RejectedRow(lines.first_line, "", f"not CSV: {error}")
        else:
            if lines.has_wrong_byte:
                yield RejectedRow(lines.first_line, "", _NOT_UTF8)
            elif any(field.strip() for field in fields):
                yield _table_row(lines.first_line, fields, columns, defaults)
        lines.drop()


def _table_row(line: int, fields: Sequence[str], columns: Columns, defaults: SignUpForm) -> FileRow:
    defaults = replace(defaults, page=f"import from {columns.format}")
    try:
        row = columns.parse_row(line, fields, defaults)
    except RowFault as fault:
        return RejectedRow(line, columns.find_email(fields), str(fault))
    if columns.format is ImportFormat.MAILCHIMP and not is_zone(row.form.timezone):
        # Guessed from an IP address, and sometimes in words of its own.
        return replace(row, form=replace(row.form, timezone=defaults.timezone))
    return row


def _address_rows(lines: _Lines, defaults: SignUpForm) -> Iterator[FileRow]:
    for line in lines:
        if lines.has_wrong_byte:
            yield RejectedRow(lines.first_line, "", _NOT_UTF8)
        elif line.strip():
            yield from parse_addresses(lines.first_line, line.strip(), defaults)
        lines.drop()


class _OwnSubscriber(BaseModel):
    email: str
    state: SubscriberState
    cadence: str
    hour: int
    timezone: str
    timing: str = Timing.AT_HOUR
    created_at: AwareDatetime
    confirmed_at: AwareDatetime | None = None
    unsubscribed_at: AwareDatetime | None = None
    paused_until: date | None = None
    paused_at: AwareDatetime | None = None
    catch_up_since: date | None = None
    has_suggestions: bool = True
    has_empty_digests: bool = False
    has_ai_summaries: bool = True
    full_cards: int = FULL_CARDS
    max_papers: int | None = None
    weekly_topics_on: int = 0
    has_catch_up: bool = False
    moves_from_id: int | None = None
    locale: str = ""


class _OwnTopic(BaseModel):
    query: str
    name: str = ""
    position: int = 0
    is_weekly: bool = False
    at_least: int = 1


class _OwnConsent(BaseModel):
    action: str
    text_version: str
    page: str
    created_at: AwareDatetime


class _OwnExport(BaseModel):
    """The parts of an export that an import takes; papers and mails are not among them."""

    subscriber: _OwnSubscriber
    topics: list[_OwnTopic] = []
    consents: list[_OwnConsent] = []


def _own_rows(lines: _Lines, bracket: str) -> Iterator[FileRow]:
    if bracket == "[":
        lines.most = sys.maxsize
        try:
            entries: list[Any] = json.loads("".join(lines))
        except json.JSONDecodeError as error:
            raise ImportFault(f"line {error.lineno}: not JSON: {error.msg}") from error
        yield from (_own_row(number, entry) for number, entry in enumerate(entries, 1))
        return
    for line in lines:
        if lines.has_wrong_byte:
            yield RejectedRow(lines.first_line, "", _NOT_UTF8)
        elif line.strip():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                yield RejectedRow(lines.first_line, "", f"not JSON: {error.msg}")
            else:
                yield _own_row(lines.first_line, entry)
        lines.drop()


def _own_row(line: int, entry: Any) -> FileRow:
    try:
        export = _OwnExport.model_validate(entry)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        reason = f"not a line of `paperboy subscribers export`: {where}: {error.errors()[0]['msg']}"
        return RejectedRow(line, "", reason)
    person = export.subscriber
    if person.moves_from_id is not None and person.state is SubscriberState.PENDING:
        reason = "the new address of a subscriber who has not confirmed it"
        return RejectedRow(line, person.email, reason)
    return ImportRow(line, _own_form(export), _own_state(export))


def _own_form(export: _OwnExport) -> SignUpForm:
    person = export.subscriber
    topics = sorted(export.topics, key=lambda one: one.position)
    return SignUpForm(
        email=person.email,
        topics=tuple(each.query for each in topics),
        names=tuple(each.name for each in topics),
        cadence=person.cadence,
        hour=str(person.hour),
        timezone=person.timezone,
        timing=person.timing,
        page=f"import from {ImportFormat.PAPERBOY}",
        locale=person.locale,
        has_empty_digests=person.has_empty_digests,
        has_ai_summaries=person.has_ai_summaries,
        full_cards=str(person.full_cards),
        measures=tuple(write_measure(TopicMeasure(t.is_weekly, t.at_least)) for t in topics),
        max_papers=None if person.max_papers is None else str(person.max_papers),
        weekly_topics_on=WEEKDAYS[person.weekly_topics_on % 7],
    )


def _own_state(export: _OwnExport) -> ImportedState:
    person = export.subscriber
    is_suppressed = person.state is SubscriberState.SUPPRESSED
    return ImportedState(
        state=person.state,
        reason=SuppressionReason.OPERATOR if is_suppressed else None,
        detail=f"imported from {ImportFormat.PAPERBOY}" if is_suppressed else "",
        has_row=is_suppressed,
        consents=tuple(ImportedConsent(**each.model_dump()) for each in export.consents),
        **{name: getattr(person, name) for name in _OWN_TIMES},
    )


_OWN_TIMES = (
    "created_at", "confirmed_at", "unsubscribed_at", "paused_at", "paused_until", "catch_up_since",
    "has_catch_up", "has_suggestions",
)  # fmt: skip


def _has_wrong_byte(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
