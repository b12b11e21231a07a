"""What an edition says of a day: how many papers were announced and checked, and what is missing.

"A holiday" is said only where arXiv's calendar and its listing agree; a source that did not answer is
named as such. Everything that is missing comes in a later edition, marked late.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from service.editions.domain.coverage import Coverage, Gap, GapKind
from service.papers.domain.announcement_days import is_announcement_day, is_listed_holiday
from service.papers.domain.source_names import SOURCES
from service.papers.domain.types import BatchState, SourceAnswer

_TITLES = {source.name: source.title for source in SOURCES}
_OPEN = frozenset({BatchState.EXPECTED, BatchState.PARTIAL})
_FAILED = {
    SourceAnswer.UNREACHABLE: GapKind.UNREACHED,
    SourceAnswer.UNREADABLE: GapKind.UNREAD,
    SourceAnswer.SILENT: GapKind.SILENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """A batch as a report needs it; `found_count` are its papers that are new or cross-listed."""

    source: str
    category: str
    state: BatchState
    answer: SourceAnswer = SourceAnswer.SILENT
    found_count: int = 0
    expected_count: int | None = None
    bad_count: int = 0
    listed_on: date | None = None

    @property
    def name(self) -> str:
        return self.category or self.title

    @property
    def title(self) -> str:
        return _TITLES.get(self.source, self.source)

    @property
    def is_open(self) -> bool:
        return self.state in _OPEN

    @property
    def is_read(self) -> bool:
        return bool(self.found_count) or self.answer is SourceAnswer.READ

    @property
    def short_count(self) -> int:
        """How many announced papers the batch lacks, because they are unreadable or absent."""
        if self.expected_count is None:
            return self.bad_count
        return max(0, self.expected_count - self.found_count)


def describe_day(on: date, batches: Sequence[BatchFacts], checked_count: int) -> Coverage:
    """Return the coverage of a date. A paper missing from one category may be in another one, so the
    number of announced papers is an upper bound.
    """
    gaps = [(batch, gap) for batch in batches for gap in find_gaps(on, batch)]
    is_whole = all(gap.kind is GapKind.UNCOUNTED for _, gap in gaps)
    short = sum(batch.short_count for batch in batches)
    note = " ".join(_sentences(gaps, batches)) if gaps else ""
    if not gaps and not checked_count:
        note = explain_nothing(on, batches)
    return Coverage(
        announced=checked_count + short,
        checked=checked_count,
        is_complete=is_whole,
        note=note,
        gaps=tuple(gap for _, gap in gaps),
    )


def find_gaps(on: date, batch: BatchFacts) -> Iterator[Gap]:
    """Yield what a batch of a date lacks: nothing, one gap, or entries besides."""
    if batch.is_read:
        yield from _gaps_of_read(batch)
        return
    is_waiting = batch.is_open and batch.answer is SourceAnswer.SILENT
    if batch.expected_count:
        kind = GapKind.WAITING if is_waiting else GapKind.UNREAD
        yield Gap(batch.name, kind, batch.expected_count)
    elif batch.state is not BatchState.COMPLETE and not _is_confirmed(on, batch):
        is_waiting |= not is_announcement_day(on)
        kind = _FAILED.get(batch.answer, GapKind.SILENT)
        yield Gap(batch.name, GapKind.WAITING if is_waiting else kind)


def _gaps_of_read(batch: BatchFacts) -> Iterator[Gap]:
    bad = min(batch.bad_count, batch.short_count)
    if batch.is_open:
        yield Gap(batch.name, GapKind.WAITING, batch.short_count)
    elif batch.short_count > bad:
        yield Gap(batch.name, GapKind.SHORT, batch.short_count - bad)
    if bad:
        yield Gap(batch.name, GapKind.BAD, bad)
    # The other sources state no count beside their list.
    if batch.expected_count is None and batch.source == "arxiv":
        yield Gap(batch.name, GapKind.UNCOUNTED)


def _is_confirmed(on: date, batch: BatchFacts) -> bool:
    """Return whether it is known that a batch without papers lacks none."""
    is_denied = batch.answer is SourceAnswer.NOTHING or batch.expected_count == 0
    return (
        is_denied or _is_holiday(on, batch) or (not is_announcement_day(on) and not batch.is_open)
    )


def _is_holiday(on: date, batch: BatchFacts) -> bool:
    """Return whether arXiv's calendar has the day and the listing announces nothing for it."""
    is_unlisted = batch.listed_on is not None and batch.listed_on < on
    return is_listed_holiday(on) and (is_unlisted or batch.expected_count == 0)


def explain_nothing(on: date, batches: Sequence[BatchFacts]) -> str:
    """Return why a day without papers lacks none."""
    if not is_announcement_day(on):
        return "arXiv announces nothing at the weekend."
    title = batches[0].title if batches else "arXiv"
    if batches and all(_is_holiday(on, batch) for batch in batches):
        return f"Nothing was announced: a holiday at {title}."
    return f"{title} announced nothing today."


def _sentences(
    gaps: Sequence[tuple[BatchFacts, Gap]], batches: Sequence[BatchFacts]
) -> Iterator[str]:
    waiting = [batch.name for batch in batches if batch.is_open and _has_gap(batch, gaps)]
    if waiting:
        yield f"Not complete yet: {', '.join(waiting)}."
    for title, group in groupby(gaps, key=lambda pair: pair[0].title):
        of_source = list(group)
        total = sum(batch.title == title for batch in batches)
        yield from _sentences_of_source(title, of_source, total)


def _has_gap(batch: BatchFacts, gaps: Sequence[tuple[BatchFacts, Gap]]) -> bool:
    return any(other is batch and gap.kind is not GapKind.UNCOUNTED for other, gap in gaps)


def _sentences_of_source(
    title: str, gaps: Sequence[tuple[BatchFacts, Gap]], total: int
) -> Iterator[str]:
    for kind, is_open in (
        (GapKind.UNREACHED, True), (GapKind.UNREACHED, False), (GapKind.UNREAD, True),
        (GapKind.UNREAD, False), (GapKind.SILENT, False),
    ):  # fmt: skip
        names = [gap.category for one, gap in gaps if gap.kind is kind and one.is_open is is_open]
        if names:
            yield _LOST[kind, is_open](title, names, len(names) == total)
    short = [gap for _, gap in gaps if gap.kind is GapKind.SHORT]
    if short:
        yield _shortage(short)
    bad = [gap for _, gap in gaps if gap.kind is GapKind.BAD]
    if bad:
        count = sum(gap.number for gap in bad)
        entries = "1 entry" if count == 1 else f"{count:,} entries"
        yield f"{entries} could not be read ({listed([gap.category for gap in bad])})."


def _unreached(title: str, names: Sequence[str], is_all: bool) -> str:
    if is_all:
        return f"{title} could not be reached today. What it announced will come late, marked."
    are = "is missing; it" if len(names) == 1 else "are missing; they"
    return f"{title} could not be reached today: {listed(names)} {are} will come late, marked."


def _unread(title: str, names: Sequence[str], is_all: bool) -> str:
    if is_all:
        return f"{title} could not be read today; its papers come late, marked."
    whose = "its" if len(names) == 1 else "their"
    return f"{listed(names)} could not be read; {whose} papers come late, marked."


def _silent(title: str, names: Sequence[str], is_all: bool) -> str:
    where = "" if is_all else f" in {listed(names)}"
    return f"{title} announced nothing that we could confirm{where}."


_LOST = {
    (GapKind.UNREACHED, False): _unreached,
    (GapKind.UNREACHED, True): lambda title, names, is_all: (
        f"{title if is_all else listed(names)} could not be reached so far."
    ),
    (GapKind.UNREAD, False): _unread,
    (GapKind.UNREAD, True): lambda title, names, is_all: (
        f"{title if is_all else listed(names)} could not be read so far."
    ),
    (GapKind.SILENT, False): _silent,
}


def _shortage(short: Sequence[Gap]) -> str:
    first, *rest = short
    papers = "1 paper" if first.number == 1 else f"{first.number:,} papers"
    parts = [f"{papers} of {first.category}", *(f"{g.number:,} of {g.category}" for g in rest)]
    is_one = first.number == 1 and not rest
    end = "is missing; it comes late, marked" if is_one else "are missing; they come late, marked"
    return f"{listed(parts)} {end}."


def listed(names: Sequence[str]) -> str:
    """Return `cs.CL, cs.LG and cs.CV`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
