"""The measure of a topic in words: `weekly`, `at least 3`, `weekly, at least 3`, `at once`."""

from typing import Final

from service.platform import linear_regex
from service.topics.domain.types import MOST_AT_LEAST, TopicMeasure

AT_ONCE: Final = "at once"
# What the form offers; others may be written in an import or by a command.
OFFERED: Final = tuple(
    TopicMeasure(is_weekly, count) for is_weekly in (False, True) for count in (1, 2, 3, 5, 10)
)
_PART = linear_regex.compile(r"(?:at_?least|from)?([0-9]{1,4})")


class MeasureError(ValueError):
    """The words are not those of a measure; the message says which are."""


def write_measure(measure: TopicMeasure) -> str:
    """Return the words that `parse_measure` reads."""
    parts = ["weekly"] if measure.is_weekly else []
    if measure.at_least > 1:
        parts.append(f"at least {measure.at_least}")
    return ", ".join(parts) or AT_ONCE


def parse_measure(text: str) -> TopicMeasure:
    """Return the measure; an empty text is `at once`. Raises `MeasureError`."""
    is_weekly, at_least = False, 1
    for part in text.casefold().split(","):
        words = "".join(part.split())
        number = _PART.fullmatch(words)
        if words == "weekly":
            is_weekly = True
        elif number and 1 <= int(number[1]) <= MOST_AT_LEAST:
            at_least = int(number[1])
        elif words not in {"", "atonce"}:
            raise MeasureError(
                "A topic comes “at once”, “weekly”, “at least 3” or “weekly, at least 3”, with a"
                f" number up to {MOST_AT_LEAST}."
            )
    return TopicMeasure(is_weekly, at_least)


def describe_measure(measure: TopicMeasure) -> str:
    """Return the measure for a form: `once a week, when 3 are together`."""
    if measure == TopicMeasure():
        return "as they come"
    often = "once a week" if measure.is_weekly else ""
    count = f"when {measure.at_least} are together" if measure.at_least > 1 else ""
    return ", ".join(filter(None, (often, count)))
