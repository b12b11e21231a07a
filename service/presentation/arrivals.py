"""Sentences that say when papers come: the first digest, and the papers of one evening."""

from datetime import date, datetime, timedelta

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.arrivals import Arrival, ChosenTimes, find_example
from service.presentation.dates import day_name, long_date
from service.presentation.phrases import clock, weekday_name

# For a form that does not know the time zone yet.
ANY_EXAMPLE = (
    "A day’s papers are complete shortly after midnight in New York, which is early morning in Europe"
    " and afternoon in East Asia. They come at the next delivery time after that, or at once."
)


def arrival_time(arrival: Arrival) -> str:
    """Return `at 07:00`, or `at about 14:30`."""
    return f"at {'about ' if arrival.is_about else ''}{arrival.at:%H:%M}"


def arrival_text(arrival: Arrival) -> str:
    """Return `Tuesday 1 December 2026 at 07:00`."""
    return f"{long_date(arrival.at.date())} {arrival_time(arrival)}"


def example_text(chosen: ChosenTimes, now: datetime) -> str:
    """Return how the papers of one evening in New York come, and how by the other timing."""
    if chosen.cadence.collects_days:
        when = (
            "The papers of a month come on the first of the next"
            if chosen.cadence is Cadence.MONTHLY
            else f"The papers of seven days come on the {weekday_name(chosen.cadence)} after them"
        )
        return f"{when} at {clock(chosen.hour)}, whichever you choose."
    example = find_example(chosen, now)
    other = _day_and_time(example.other)
    waiting = "".join(
        f" Those of {_evening_before(on)} reach you on {_day_and_time(arrival)}."
        for on, arrival in example.waiting
    )
    when = (
        f"as soon as they are complete, that would be on {other}"
        if chosen.timing is Timing.AT_HOUR
        else f"at your hour, that would be on {other}"
    )
    return (
        f"Papers announced on {_evening_before(example.on)} in New York reach you on"
        f" {_day_and_time(example.chosen)}; {when}.{waiting}"
    )


def lateness_text(chosen: ChosenTimes, now: datetime) -> str:
    """Return why papers come a day after their own at the chosen hour; empty where they do not."""
    if chosen.cadence.collects_days or chosen.timing is not Timing.AT_HOUR:
        return ""
    example = find_example(chosen, now)
    if not example.is_late:
        return ""
    return (
        f"Papers announced on {_evening_before(example.on)} in New York are complete on"
        f" {_day_and_time(example.other)}, after your hour, so they reach you on"
        f" {_day_and_time(example.chosen)}."
    )


def _evening_before(on: date) -> str:
    return f"{day_name(on - timedelta(days=1))} evening"


def _day_and_time(arrival: Arrival) -> str:
    return f"{day_name(arrival.at.date())} {arrival_time(arrival)}"
