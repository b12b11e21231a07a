"""Sentences about coverage, shared by mails, pages and commands."""

from service.editions.domain.coverage import Coverage
from service.presentation.dates import day_name
from service.presentation.phrases import count_of


def coverage_line(coverage: Coverage) -> str:
    """Return `412 of 412 announced papers checked · 3 late from Tuesday`."""
    line = f"{coverage.checked:,} of {count_of(coverage.announced, 'announced paper')} checked"
    if not coverage.is_complete:
        line += " (day incomplete)"
    if coverage.late:
        line += f" · {_late_line(coverage)}"
    return line


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
