"""A sign-up form as typed, and its validated values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from service.deliveries.domain.recipients import (
    FULL_CARDS,
    Cadence,
    SubscriberState,
    SuppressionReason,
    Timing,
)
from service.topics.domain.types import TopicMeasure


@dataclass(frozen=True, slots=True)
class SignUpForm:
    """A sign-up form as typed; changing preferences uses the same form and ignores its address.

    `page` is the form's page (for the consent), `locale` the browser's preferred locale (`de-AT`)
    or empty. `has_empty_digests`: a short mail also where nothing matched; the sign-up page does
    not offer it. `names`: the names of the first topics, each as typed, or None where the form had
    no field for it; `measures` likewise (`topics.domain.measure`). `max_papers` and `weekly_topics_on`
    are None or empty where the form had no field for them.
    """

    email: str = ""
    topics: tuple[str, ...] = ()
    cadence: str = Cadence.DAILY
    hour: str = "7"
    timezone: str = "UTC"
    page: str = "/"
    locale: str = ""
    has_empty_digests: bool = False
    has_ai_summaries: bool = True
    names: tuple[str | None, ...] = ()
    timing: str = Timing.AT_HOUR
    full_cards: str = str(FULL_CARDS)
    measures: tuple[str | None, ...] = ()
    max_papers: str | None = None
    weekly_topics_on: str = ""

    def written_measures(self) -> list[tuple[int, str, str]]:
        """Return the measures that were sent, each with its row and its topic."""
        return [
            (row, text, measure)
            for row, text in self.written_topics()
            if row < len(self.measures) and (measure := self.measures[row]) is not None
        ]

    def written_names(self) -> list[tuple[int, str, str]]:
        """Return the names that were sent, each with its row and its topic, whitespace collapsed."""
        return [
            (row, text, " ".join(name.split()))
            for row, text in self.written_topics()
            if row < len(self.names) and (name := self.names[row]) is not None
        ]

    def written_topics(self) -> list[tuple[int, str]]:
        """Return the topics that are not blank, each with its row and with whitespace collapsed."""
        rows = ((row, " ".join(text.split())) for row, text in enumerate(self.topics))
        return [(row, text) for row, text in rows if text]


@dataclass(frozen=True, slots=True)
class Preferences:
    """A subscriber's choices: cadence, local hour (0..23), tz database zone and topics.

    `has_empty_digests`: a short mail also where nothing matched. `has_ai_summaries`: summaries that
    a machine wrote, in place of the abstract. `full_cards` (0..100) papers of a digest are cards, the
    others lines. `topics`: (text as written, canonical form). `names`:
    chosen names by canonical form, empty to derive one; a topic without an entry keeps its name, and
    a new one gets a derived name. `measures` by canonical form: a topic without an entry keeps its own,
    and a new one comes at once. `max_papers` (1..100) a mail, None for the operator's number;
    `weekly_topics_on`: the weekday of weekly topics in daily digests, 0 for Monday.
    """

    cadence: Cadence
    hour: int
    timezone: str
    has_empty_digests: bool = False
    has_ai_summaries: bool = True
    topics: tuple[tuple[str, str], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    timing: Timing = Timing.AT_HOUR
    full_cards: int = FULL_CARDS
    measures: Mapping[str, TopicMeasure] = field(default_factory=dict)
    max_papers: int | None = None
    weekly_topics_on: int = 0


@dataclass(frozen=True, slots=True)
class ImportedConsent:
    """A consent that another installation recorded."""

    action: str
    text_version: str
    page: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ImportedState:
    """What a file says of a person beside their preferences; times are aware and UTC.

    `state` is None where the file does not say whether the address was confirmed. `reason` and
    `detail` are for suppressed addresses; `has_row`: a suppressed one keeps its row as a
    subscriber, as in Paperboy's own export.
    """

    state: SubscriberState | None = None
    reason: SuppressionReason | None = None
    detail: str = ""
    has_row: bool = False
    created_at: datetime | None = None
    confirmed_at: datetime | None = None
    unsubscribed_at: datetime | None = None
    paused_at: datetime | None = None
    paused_until: date | None = None
    catch_up_since: date | None = None
    has_catch_up: bool = False
    has_suggestions: bool = True
    consents: tuple[ImportedConsent, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidSignUp:
    """A sign-up that can be stored. `email_key` is equal for all spellings of one address.

    `imported` is None for a person who signs up now.
    """

    email: str
    email_key: str
    preferences: Preferences
    page: str = "operator"
    locale: str = ""
    imported: ImportedState | None = None
