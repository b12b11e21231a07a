"""The sign-up form as shown on a page: its values, and its errors beside the fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.arrivals import Times
from service.platform.settings.settings import Settings
from service.platform.time_zones import find_zone
from service.presentation.arrivals import ANY_EXAMPLE, example_text
from service.presentation.phrases import clock, comes_at
from service.presentation.sanitize import clean
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.validate import FormFault, is_hour
from service.topics.domain.measure import (
    AT_ONCE,
    OFFERED,
    MeasureError,
    describe_measure,
    parse_measure,
    write_measure,
)
from service.topics.domain.names import name_topics
from service.topics.domain.types import TopicMeasure
from service.topics.topics import TopicError

# How many characters of a long topic are shown on each side of an error.
_REACH = 36


@dataclass(frozen=True, slots=True)
class Pointer:
    """The part of a topic around an error: `at` is the wrong character, empty at the end."""

    before: str
    at: str
    after: str


@dataclass(frozen=True, slots=True)
class FieldFault:
    """An error in a field. `row` is the index of the topic, 0 for other fields."""

    field: str
    text: str
    row: int = 0
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic with its chosen name, and the `shown_name` that it has, derived where none is chosen."""

    query: str = ""
    name: str = ""
    shown_name: str = ""
    measure: str = AT_ONCE

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """What may be chosen for when its papers come: the value, and its words."""
        own = _read_measure(self.measure)
        offered = dict.fromkeys((*OFFERED, own))
        return tuple((write_measure(one), describe_measure(one)) for one in offered)

    @property
    def comes(self) -> str:
        """The chosen value."""
        return write_measure(_read_measure(self.measure))


def _read_measure(text: str) -> TopicMeasure:
    try:
        return parse_measure(text)
    except MeasureError:
        return TopicMeasure()


@dataclass(frozen=True, slots=True)
class TypedForm(SignUpForm):
    """A form as shown on a page. `token` proves that it was fetched (`signed_links.sign_form`).

    `example` says what its schedule means for the papers of a day.
    """

    token: str = ""
    example: str = ANY_EXAMPLE
    faults: tuple[FieldFault, ...] = ()

    def fault_of(self, name: str, row: int = 0) -> FieldFault | None:
        """Return the error of a field, if any."""
        return next((f for f in self.faults if (f.field, f.row) == (name, row)), None)

    def named_rows(self, spare: int) -> tuple[TopicRow, ...]:
        """Return the topics with their names, followed by `spare` blank rows."""
        typed = [*self.names, *[None] * len(self.topics)]
        pairs = [(query, name or "") for query, name in zip(self.topics, typed, strict=False)]
        measures = [*self.measures, *[None] * len(self.topics)]
        named = [
            TopicRow(query, name, found, measure or AT_ONCE)
            for (query, name), found, measure in zip(
                pairs, name_topics(pairs), measures, strict=False
            )
        ]
        return (*named, *[TopicRow()] * spare)

    def rows(self, spare: int) -> tuple[str, ...]:
        """Return the topics followed by `spare` blank rows, at least one row in all."""
        return (*self.topics, *("" for _ in range(max(spare, 0 if self.topics else 1))))

    @property
    def is_schedule_open(self) -> bool:
        """Whether the schedule fields must be visible, because one of them has an error."""
        return any(f.field in {"cadence", "hour", "timing"} for f in self.faults)

    @property
    def is_at_once(self) -> bool:
        """Whether papers come as soon as they are complete: a week or month always has an hour."""
        is_collecting = self.cadence in set(Cadence) and Cadence(self.cadence).collects_days
        return self.timing == Timing.WHEN_COMPLETE and not is_collecting

    @property
    def time(self) -> str:
        """The hour as `07:00`, or as typed where it is none."""
        return clock(int(self.hour)) if is_hour(self.hour) else self.hour

    @property
    def chosen(self) -> Times | None:
        """The schedule, or None where one of its fields has no valid value."""
        zone = find_zone(self.timezone)
        is_clear = zone and is_hour(self.hour) and self.cadence in set(Cadence)
        if not is_clear or self.timing not in set(Timing):
            return None
        return Times(Cadence(self.cadence), int(self.hour), zone, Timing(self.timing))

    @property
    def times(self) -> str:
        """When digests come, `every weekday at 07:00, Berlin time`; empty where that is unclear."""
        own = self.chosen
        return comes_at(own.cadence, own.hour, own.timezone, own.timing) if own else ""


def parse_rows(topics: Sequence[str] | None) -> tuple[str, ...]:
    """Return the posted topics without blank rows and control characters."""
    cleaned = (clean(topic) for topic in topics or ())
    return tuple(topic for topic in cleaned if topic.strip())


def parse_named_rows(
    topics: Sequence[str], names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Return the posted topics as `parse_rows` does, and the name in the row of each, if sent."""
    sent = [clean(name) for name in names]
    rows = [
        (clean(topic), sent[row] if row < len(sent) else None)
        for row, topic in enumerate(topics)
        if clean(topic).strip()
    ]
    return tuple(topic for topic, _ in rows), tuple(name for _, name in rows)


def parse_word(text: str) -> str:
    """Return a short posted field, cleaned and cut to 64 characters, more than any valid value."""
    return clean(text).strip()[:64]


def blank_form(settings: Settings, token: str = "") -> TypedForm:
    """Return an empty form with the operator's hour; the time zone is the visitor's to give."""
    return TypedForm(hour=str(settings.digest_hour), timezone="", token=token)


def to_typed(form: SignUpForm) -> TypedForm:
    """Return stored preferences as a form to be shown and changed."""
    return TypedForm(**{field.name: getattr(form, field.name) for field in fields(form)})


def with_example(typed: TypedForm, now: datetime) -> TypedForm:
    """Return the form with what its own schedule means, where that is clear."""
    chosen = typed.chosen
    return replace(typed, example=example_text(chosen, now)) if chosen else typed


def with_faults(typed: TypedForm, faults: Iterable[FormFault]) -> TypedForm:
    """Return the form with its errors beside their fields."""
    return replace(typed, faults=tuple(map(_show_fault, faults)))


def _show_fault(fault: FormFault) -> FieldFault:
    pointer = point_at(fault.topic) if fault.topic else None
    return FieldFault(fault.field, fault.text, fault.row, pointer)


def point_at(error: TopicError) -> Pointer | None:
    """Return the topic around its error, or None where the error has no position."""
    if error.position is None:
        return None
    text, place = error.topic, min(error.position, len(error.topic))
    start, end = max(0, place - _REACH), place + 1 + _REACH
    before = ("…" if start else "") + text[start:place]
    after = text[place + 1 : end] + ("…" if end < len(text) else "")
    return Pointer(before, text[place : place + 1], after)
