"""What mails, pages and commands say of a day's completeness, in the same words."""

from service.editions.domain.coverage import Coverage
from service.presentation.dates import day_name
from service.presentation.phrases import count_of


def coverage_line(coverage: Coverage) -> str:
    """Return `412 of 412 announced papers checked · 3 late from Tuesday`."""
    said = f"{coverage.checked:,} of {count_of(coverage.announced, 'announced paper')} checked"
    if not coverage.is_complete:
        said += ", not all of the day"
    if coverage.late:
        said += f" · {_late_line(coverage)}"
    return said


def _late_line(coverage: Coverage) -> str:
    """`3 late from Tuesday and 1 from Wednesday`; older than a week, or many days: no names."""
    days = coverage.late_days
    if not days or len(days) > 3 or (days[-1][0] - days[0][0]).days > 5:
        return f"{coverage.late:,} late from earlier days"
    named = [
        f"{count:,} {'late ' * (not n)}from {day_name(on)}" for n, (on, count) in enumerate(days)
    ]
    return " and ".join(named)


def coverage_text(coverage: Coverage) -> str:
    """Return the line with its note, for a page or a command that has one place for both."""
    line = coverage_line(coverage)
    return f"{line}. {coverage.note}" if coverage.note else line
