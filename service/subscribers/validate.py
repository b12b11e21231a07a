"""Validate sign-up forms: return values that can be stored, or raise with all faults at once."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import MOST_FULL_CARDS, MOST_PAPERS, Cadence, Timing
from service.platform.signing.address_hash import email_key
from service.platform.time_zones import find_zone, suggest_zones
from service.subscribers.domain.sign_up import Preferences, SignUpForm, ValidSignUp
from service.topics.domain.measure import MeasureError, parse_measure
from service.topics.domain.names import LONGEST_NAME
from service.topics.store.topics import list_topics
from service.topics.topics import MOST_TOPICS, TopicError, check_topics

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class FormFault:
    """A fault in a field of a form. `row` is the topic's place among several, else 0."""

    field: str
    text: str
    row: int = 0
    topic: TopicError | None = None

    def __str__(self) -> str:
        return f"topic {self.topic.topic!r}: {self.text}" if self.topic else self.text


class SignUpError(ValueError):
    """The input is invalid; `faults` says why, field by field."""

    def __init__(self, *faults: FormFault) -> None:
        super().__init__(" ".join(map(str, faults)))
        self.faults = faults


def validate_sign_up(
    session: Session, form: SignUpForm, *, takes_utf8: bool = False, is_public: bool = True
) -> ValidSignUp:
    """Return the sign-up ready to be stored. Raises `SignUpError` with all faults.

    With `takes_utf8` the relay accepts letters outside ASCII before the @, too (RFC 6531). Topics
    of the operator, not `is_public`, may be larger (`topics.domain.query_limits`).
    """
    topics = validate_topics(session, form, is_public=is_public)
    return check_sign_up(form, topics, takes_utf8=takes_utf8)


def validate_preferences(
    session: Session, form: SignUpForm, subscriber_id: int = 0, *, is_public: bool = True
) -> Preferences:
    """Return a form's preferences without its address. Raises `SignUpError` with all faults.

    `subscriber_id` says whose they will be; 0 for a subscriber who is not stored yet.
    """
    saved = {topic.query for topic in list_topics(session, subscriber_id)}
    topics = validate_topics(session, form, saved, is_public=is_public)
    faults = _find_faults(form, topics)
    if faults:
        raise SignUpError(*faults)
    return _to_preferences(form, topics)


def validate_address(text: str, *, takes_utf8: bool = False, field: str = "email") -> str:
    """Return the address with its domain as A-labels. Raises `SignUpError` naming `field`."""
    try:
        # Strict: RFC 5321 §4.5.3.1.1 ends a local part at 64 octets, and relays refuse more.
        checked = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise SignUpError(FormFault(field, f"This is not an email address: {error}")) from error
    if checked.ascii_email:
        return checked.ascii_email
    if not takes_utf8:
        message = "We cannot mail an address with letters outside ASCII before the @."
        raise SignUpError(FormFault(field, message))
    return f"{checked.local_part}@{checked.ascii_domain}"


Checked = Mapping[str, str | TopicError]


def validate_topics(
    session: Session, form: SignUpForm, saved: Collection[str] = (), *, is_public: bool = True
) -> Checked:
    """Return the canonical form, or the error, of each topic in a form, by its text.

    `saved` are those that the subscriber has already (see `check_topics`). Topics beyond `MOST_TOPICS` are left out, and later refused unchecked.
    """
    texts = [text for _, text in form.written_topics()[:MOST_TOPICS]]
    return check_topics(session, texts, saved, is_public=is_public)


def check_sign_up(form: SignUpForm, topics: Checked, *, takes_utf8: bool = False) -> ValidSignUp:
    """Return the sign-up, with `topics` checked before. Raises `SignUpError` with all faults."""
    faults = _find_faults(form, topics)
    try:
        address = validate_address(form.email, takes_utf8=takes_utf8)
    except SignUpError as error:
        raise SignUpError(*error.faults, *faults) from error
    if faults:
        raise SignUpError(*faults)
    chosen = _to_preferences(form, topics)
    return ValidSignUp(address, email_key(address), chosen, form.page, form.locale)


def _find_faults(form: SignUpForm, topics: Checked) -> list[FormFault]:
    return [
        *_topic_faults(form, topics),
        *_name_faults(form),
        *_measure_faults(form),
        *_schedule_faults(form),
    ]


def _topic_faults(form: SignUpForm, topics: Checked) -> list[FormFault]:
    written = form.written_topics()
    checked = [(row, topics[text]) for row, text in written[:MOST_TOPICS]]
    faults = [topic_fault(error, row) for row, error in checked if isinstance(error, TopicError)]
    for row, text in written[MOST_TOPICS : MOST_TOPICS + 1]:
        message = f"At most {MOST_TOPICS} topics are allowed. Combine some of them with OR."
        faults.append(topic_fault(TopicError(text, message), row))
    return faults


def _name_faults(form: SignUpForm) -> list[FormFault]:
    message = f"A name has at most {LONGEST_NAME} characters."
    written = form.written_names()
    return [FormFault("name", message, row) for row, _, name in written if len(name) > LONGEST_NAME]


def _measure_faults(form: SignUpForm) -> Iterator[FormFault]:
    for row, _, text in form.written_measures():
        try:
            parse_measure(text)
        except MeasureError as error:
            yield FormFault("measure", str(error), row)


def topic_fault(error: TopicError, row: int = 0) -> FormFault:
    """Return the fault of an invalid topic."""
    return FormFault("topic", str(error), row, error)


def _schedule_faults(form: SignUpForm) -> list[FormFault]:
    faults = []
    if form.cadence not in set(Cadence):
        faults.append(FormFault("cadence", f"Choose {', '.join(Cadence)}."))
    if not is_hour(form.hour):
        faults.append(FormFault("hour", "The hour is a whole number from 0 to 23."))
    if form.timing not in set(Timing):
        faults.append(FormFault("timing", f"Choose {' or '.join(Timing)}."))
    if not is_card_count(form.full_cards):
        message = f"Papers shown in full: a whole number from 0 to {MOST_FULL_CARDS}."
        faults.append(FormFault("full_cards", message))
    if form.max_papers and not is_paper_count(form.max_papers):
        message = f"Papers in a mail: a whole number from 1 to {MOST_PAPERS}."
        faults.append(FormFault("max_papers", message))
    if form.weekly_topics_on and form.weekly_topics_on.casefold() not in WEEKDAYS:
        faults.append(FormFault("weekly_topics_on", f"Choose {', '.join(WEEKDAYS)}."))
    if not find_zone(form.timezone):
        faults.append(FormFault("timezone", _unknown_zone(form.timezone)))
    return faults


def is_hour(text: str) -> bool:
    """Return whether a text is a whole number from 0 to 23."""
    return text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < 24


def is_card_count(text: str) -> bool:
    """Return whether a text is a number of papers that a digest may show as cards."""
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MOST_FULL_CARDS


def is_paper_count(text: str) -> bool:
    """Return whether a text is a number of papers that a mail may have at most."""
    return text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_PAPERS


def _unknown_zone(text: str) -> str:
    close = " or ".join(suggest_zones(text))
    hint = f"Did you mean {close}?" if close else "Write a large city near you, such as Berlin."
    return f"No time zone is called {text!r}. {hint}" if text else hint


def _to_preferences(form: SignUpForm, topics: Checked) -> Preferences:
    """Return the preferences of a form without faults."""
    return Preferences(
        Cadence(form.cadence),
        int(form.hour),
        find_zone(form.timezone),
        form.has_empty_digests,
        form.has_ai_summaries,
        tuple((text, str(topics[text])) for _, text in form.written_topics()),
        {str(topics[text]): name for _, text, name in reversed(form.written_names())},
        Timing(form.timing),
        int(form.full_cards),
        {str(topics[text]): parse_measure(each) for _, text, each in form.written_measures()},
        int(form.max_papers) if form.max_papers else None,
        WEEKDAYS.index(form.weekly_topics_on.casefold() or WEEKDAYS[0]),
    )
