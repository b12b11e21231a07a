"""Sentences about coverage, shared by mails, pages and commands."""

from collections.abc import Sequence

from service.editions.domain.coverage import Coverage, Gap, GapKind
from service.editions.domain.day_report import listed
from service.presentation.dates import day_name
from service.presentation.phrases import count_of

_MOST_NAMES = 3


def coverage_line(coverage: Coverage) -> str:
    """Return `412 of 412 announced papers checked · 3 late from Tuesday`.

    Where nobody knows how many papers were announced, it says why in place of that number.
    """
    line = _count_line(coverage)
    if coverage.late:
        line += f" · {_late_line(coverage)}"
    return line


def _count_line(coverage: Coverage) -> str:
    checked, gaps = coverage.checked, coverage.gaps
    if not coverage.announced:
        return "No papers read"
    unknown = [gap for gap in gaps if not gap.number]
    if lost := [gap for gap in unknown if gap.kind.is_lost]:
        return f"{checked:,} checked; {_lost_line(lost)}"
    if partly := _names(unknown, GapKind.SHORT):
        return f"{count_of(checked, 'paper')} checked; some days of {partly} are missing"
    if _names(unknown, GapKind.WAITING):
        return f"{count_of(checked, 'paper')} checked so far"
    if uncounted := _names(unknown, GapKind.UNCOUNTED):
        return f"{count_of(checked, 'paper')} read; arXiv's own count was not available for {uncounted}"
    line = f"{checked:,} of {count_of(coverage.announced, 'announced paper')} checked"
    return line if coverage.is_complete or coverage.note else f"{line} (day incomplete)"


def _lost_line(lost: Sequence[Gap]) -> str:
    words = {
        GapKind.UNREACHED: "{} could not be reached",
        GapKind.UNREAD: "{} could not be read",
        GapKind.SILENT: "nothing is confirmed for {}",
    }
    found = ((text, _names(lost, kind)) for kind, text in words.items())
    return ", ".join(text.format(names) for text, names in found if names)


def _names(gaps: Sequence[Gap], kind: GapKind) -> str:
    names = [gap.category for gap in gaps if gap.kind is kind]
    if len(names) > _MOST_NAMES + 1:
        names[_MOST_NAMES:] = [f"{len(names) - _MOST_NAMES} more"]
    return listed(names) if names else ""


def _late_line(coverage: Coverage) -> str:
    """Return `3 late from Tuesday and 1 from Wednesday`; no names for many or older days."""
    days = coverage.late_days
    if not days or len(days) > 3 or (days[-1][0] - days[0][0]).days > 5:
        return f"{coverage.late:,} late from earlier days"
    (first, count), *others = days
    parts = [f"{count:,} late from {day_name(first)}"]
    return " and ".join(parts + [f"{count:,} from {day_name(on)}" for on, count in others])


def coverage_text(coverage: Coverage) -> str:
    """Return the coverage line followed by the note, if there is one."""
    line = coverage_line(coverage)
    return f"{line}. {coverage.note}" if coverage.note else line
