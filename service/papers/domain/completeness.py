"""Decide the state of a batch from a source's answer: complete, partial, or still yesterday's.

Freshness is judged by the announced papers and the listing's counts, never by dates in a feed:
those are computed when the feed is rendered (arXiv's RSS documentation), and stale feeds with
today's date are a known fault. Holidays and deferrals are detected, not predicted.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from service.papers.domain.announcement_days import is_announcement_day
from service.papers.domain.types import (
    AnnounceType,
    BadEntry,
    BatchState,
    ParsedAnnouncement,
    ParsedBatch,
    SourceAnswer,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The batch's state, why, and whether the answer's announcements belong to this date."""

    state: BatchState
    note: str = ""
    is_fresh: bool = True


_NAMED = 3
_NAME_LENGTH = 100


def describe_faults(parsed: ParsedBatch) -> str:
    """Return which entries were unreadable, and which lack a value that was absurd; or ""."""
    unread = [_describe(bad) for bad in parsed.bad_entries]
    lacking = [
        f"{one.identifier} ({', '.join(one.refused)})"
        for one in parsed.announcements
        if one.refused
    ]
    parts = []
    if unread:
        parts.append(f"{_entries(len(unread))} unreadable: {_named(unread)}")
    if lacking:
        parts.append(f"{_entries(len(lacking))} stored without an absurd value: {_named(lacking)}")
    return "; ".join(parts)


def _describe(bad: BadEntry) -> str:
    return bad.reason if bad.position < 0 else f"entry {bad.position + 1}: {bad.reason}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _named(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return "; ".join(name[:_NAME_LENGTH] for name in names[:_NAMED]) + rest


def count_first(parsed: ParsedBatch) -> int:
    """Count the papers that an answer announces as new or cross-listed.

    Replacements are left out: the listing counts all of them, the feed drops version 6 and later.
    """
    first = {AnnounceType.NEW, AnnounceType.CROSS}
    return sum(one.announce_type in first for one in parsed.announcements)


def select_evidence(parsed: ParsedBatch) -> tuple[ParsedAnnouncement, ...]:
    """Return the announcements that distinguish a day from the day before: the new papers.

    If there are none (a small category may have only cross-lists), all of them: a category
    announces each paper and version once. A list is no evidence: it may show a paper for days.
    """
    dated = tuple(a for a in parsed.announcements if a.announce_type is not AnnounceType.LISTED)
    return tuple(a for a in dated if a.announce_type is AnnounceType.NEW) or dated


def judge_batch(
    parsed: ParsedBatch,
    on: date,
    repeated_count: int,
    expected_count: int | None = None,
    listed_ids: Collection[str] = (),
) -> Verdict:
    """Return the state of the batch of `on` after one answer.

    `repeated_count` is how many of its `select_evidence` an earlier batch of the category holds:
    if all, the source still shows the day before. `expected_count` is the listing's count of new
    and cross-listed papers, None if unknown; `listed_ids` are the new papers that it names for
    `on`, none if it does not name all: an answer without any of them shows another day.
    """
    if not parsed.announcements:
        return _judge_empty(parsed, on, expected_count)
    if repeated_count and repeated_count == len(select_evidence(parsed)):
        return Verdict(BatchState.EXPECTED, "still the day before", is_fresh=False)
    if _shows_another_day(parsed, listed_ids):
        note = "another day’s papers: the listing names none of them for this day"
        return Verdict(BatchState.EXPECTED, note, is_fresh=False)
    faults = describe_faults(parsed)
    if parsed.is_truncated:
        return Verdict(BatchState.PARTIAL, _joined("cut at the source's limit of items", faults))
    found = count_first(parsed)
    if expected_count is not None and found + len(parsed.bad_entries) < expected_count:
        progress = f"{found} of {expected_count} papers so far"
        return Verdict(BatchState.PARTIAL, _joined(progress, faults))
    return Verdict(BatchState.COMPLETE, faults)


def _shows_another_day(parsed: ParsedBatch, listed_ids: Collection[str]) -> bool:
    new = {a.identifier for a in parsed.announcements if a.announce_type is AnnounceType.NEW}
    return bool(new and listed_ids) and new.isdisjoint(listed_ids)


def judge_answer(parsed: ParsedBatch, verdict: Verdict) -> SourceAnswer:
    """Return what a source that answered has said of the batch's day."""
    if parsed.announcements:
        return SourceAnswer.READ if verdict.is_fresh else SourceAnswer.SILENT
    if parsed.bad_entries:
        return SourceAnswer.UNREADABLE
    is_denied = verdict.state is BatchState.COMPLETE
    return SourceAnswer.NOTHING if is_denied else SourceAnswer.SILENT


def later_answer(current: SourceAnswer, found: SourceAnswer) -> SourceAnswer:
    """Return the answer that a batch keeps after a look: the last one, unless an earlier one said more.

    A failure after papers were read, or after the source said that there are none, changes nothing.
    """
    if current is SourceAnswer.READ or found is SourceAnswer.READ:
        return SourceAnswer.READ
    return current if current is SourceAnswer.NOTHING else found


def _judge_empty(parsed: ParsedBatch, on: date, expected_count: int | None) -> Verdict:
    if parsed.bad_entries:
        return Verdict(BatchState.PARTIAL, f"no entry could be read: {describe_faults(parsed)}")
    if parsed.is_skip_day or not is_announcement_day(on):
        return Verdict(BatchState.COMPLETE, "nothing is announced on this day")
    if expected_count == 0:
        return Verdict(BatchState.COMPLETE, "the listing says: no updates today")
    return Verdict(BatchState.EXPECTED, "nothing announced yet")


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def judge_closed(
    announced_count: int,
    expected_count: int | None,
    answer: SourceAnswer = SourceAnswer.SILENT,
    failure: str = "",
) -> str:
    """Return the note for a batch that is closed at its deadline: what came, and what did not."""
    if expected_count is not None and announced_count < expected_count:
        came = f"closed with {announced_count} of {expected_count} papers; the rest comes late"
        return _joined(came, failure)
    if announced_count or answer is SourceAnswer.READ:
        return "closed at the deadline; what comes now is late"
    failed = {
        SourceAnswer.UNREACHABLE: "closed: the source could not be reached",
        SourceAnswer.UNREADABLE: "closed: the source could not be read",
    }
    return _joined(failed.get(answer, "closed: nothing was announced that is confirmed"), failure)


def advance(current: BatchState, found: BatchState) -> BatchState:
    """Return the later of two states: a batch never goes back, a closed one stays closed."""
    order = (BatchState.EXPECTED, BatchState.PARTIAL, BatchState.COMPLETE, BatchState.CLOSED)
    return max(current, found, key=order.index)


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The state of one batch, as editions read it to decide whether to wait."""

    source: str
    category: str
    announced_on: date
    state: BatchState


def unfinished(batches: Iterable[BatchStatus], on: date) -> tuple[BatchStatus, ...]:
    """Return the batches of a date that an edition should still wait for."""
    waiting = {BatchState.EXPECTED, BatchState.PARTIAL}
    return tuple(b for b in batches if b.announced_on == on and b.state in waiting)
