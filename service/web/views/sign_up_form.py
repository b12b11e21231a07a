"""The sign-up form as it stands on a page: what was typed, what is wrong with it, where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from service.platform.settings.settings import Settings
from service.presentation.sanitize import clean
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.validate import FormFault
from service.topics.topics import TopicError

# Offered while typing; every name of the tz database is accepted.
COMMON_ZONES = (
    "UTC", "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York",
    "America/Toronto", "America/Mexico_City", "America/Bogota", "America/Sao_Paulo",
    "America/Buenos_Aires", "Africa/Lagos", "Africa/Cairo", "Africa/Nairobi",
    "Africa/Johannesburg", "Europe/Lisbon", "Europe/London", "Europe/Madrid", "Europe/Paris",
    "Europe/Amsterdam", "Europe/Zurich", "Europe/Berlin", "Europe/Rome", "Europe/Stockholm",
    "Europe/Warsaw", "Europe/Athens", "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow",
    "Asia/Jerusalem", "Asia/Dubai", "Asia/Tehran", "Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka",
    "Asia/Bangkok", "Asia/Singapore", "Asia/Hong_Kong", "Asia/Shanghai", "Asia/Taipei",
    "Asia/Seoul", "Asia/Tokyo", "Australia/Perth", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip

# How much of a long topic is shown on each side of what is wrong with it.
_REACH = 36


@dataclass(frozen=True, slots=True)
class Pointer:
    """The part of a topic around its fault: `at` is the faulty character, empty at the end."""

    before: str
    at: str
    after: str


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with a field. `row` is the topic's place among several, else 0."""

    field: str
    text: str
    row: int = 0
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True)
class TypedForm(SignUpForm):
    """A form as it stands on a page. `token` shows that it was fetched (see `signed_links.sign_form`)."""

    token: str = ""
    faults: tuple[FieldFault, ...] = ()

    def fault_of(self, name: str, row: int = 0) -> FieldFault | None:
        """What is wrong with a field, if anything."""
        return next((f for f in self.faults if (f.field, f.row) == (name, row)), None)

    def rows(self, spare: int) -> tuple[str, ...]:
        """The topics with blank rows after them, at least one."""
        return (*self.topics, *("" for _ in range(max(spare, 0 if self.topics else 1))))

    @property
    def is_schedule_open(self) -> bool:
        """Whether the hour and its companions must be seen, because one of them is wrong."""
        return any(f.field in {"cadence", "hour", "timezone"} for f in self.faults)


def read_rows(topics: Sequence[str] | None) -> tuple[str, ...]:
    """The topics of a posted form: what was typed, without blank rows and control characters."""
    cleaned = (clean(each) for each in topics or ())
    return tuple(each for each in cleaned if each.strip())


def read_word(text: str) -> str:
    """A short field of a posted form. Nothing that we ask for in one word is longer than this."""
    return clean(text).strip()[:64]


def blank_form(settings: Settings, token: str = "") -> TypedForm:
    """The form before anything was typed, with the operator's defaults."""
    hour = str(settings.digest_hour)
    return TypedForm(hour=hour, timezone=settings.digest_timezone, token=token)


def with_faults(typed: TypedForm, faults: Iterable[FormFault]) -> TypedForm:
    """The form with each complaint beside the field that it is about."""
    return replace(typed, faults=tuple(map(_show_fault, faults)))


def _show_fault(fault: FormFault) -> FieldFault:
    pointer = point_at(fault.topic) if fault.topic else None
    return FieldFault(fault.field, fault.text, fault.row, pointer)


def point_at(error: TopicError) -> Pointer | None:
    """The topic around its fault, if the fault has a place."""
    if error.position is None:
        return None
    text, place = error.topic, min(error.position, len(error.topic))
    start, end = max(0, place - _REACH), place + 1 + _REACH
    before = ("…" if start else "") + text[start:place]
    after = text[place + 1 : end] + ("…" if end < len(text) else "")
    return Pointer(before, text[place : place + 1], after)
