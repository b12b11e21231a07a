"""The columns of an import file: which program wrote it, and what a row says.

The columns are those of the exports of Paperboy, listmonk (`cmd/subscribers.go`), Mailchimp
(mailchimp.com/help/view-export-contacts), Substack and Ghost (`members-csv`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from email.utils import getaddresses
from enum import StrEnum
from itertools import zip_longest

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.platform import linear_regex
from service.subscribers.domain.sign_up import ImportedState, SignUpForm


class ImportFormat(StrEnum):
    """The program that wrote a file; a file of unknown columns counts as Paperboy's."""

    PAPERBOY = "Paperboy"
    LISTMONK = "listmonk"
    MAILCHIMP = "Mailchimp"
    SUBSTACK = "Substack"
    GHOST = "Ghost"
    ADDRESSES = "plain addresses"


class RowFault(ValueError):
    """A row that cannot be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A person in a file: the line on which the row begins (1 is the first), and what it says."""

    line: int
    form: SignUpForm
    imported: ImportedState


EMAIL_COLUMNS = ("email", "e_mail", "email_address", "e_mail_address", "mail")

# The first format of which the file has all columns.
_SIGNS = (
    (ImportFormat.MAILCHIMP, {"member_rating", "optin_time"}),
    (ImportFormat.SUBSTACK, {"email_disabled"}),
    (ImportFormat.GHOST, {"subscribed_to_emails"}),
    (ImportFormat.LISTMONK, {"attributes", "status"}),
    (ImportFormat.LISTMONK, {"uuid", "status"}),
)

_UNSUBSCRIBED = ImportedState(SubscriberState.UNSUBSCRIBED)
_BLOCKED = ImportedState(SubscriberState.SUPPRESSED, SuppressionReason.OPERATOR)
_BOUNCED = ImportedState(SubscriberState.SUPPRESSED, SuppressionReason.HARD_BOUNCE)
_COMPLAINED = ImportedState(SubscriberState.SUPPRESSED, SuppressionReason.COMPLAINT)
_CONFIRMED = ImportedState(SubscriberState.ACTIVE)
_PENDING = ImportedState(SubscriberState.PENDING)
_UNKNOWN = ImportedState()

# Words in a column `state` or `status`. *enabled* and the like do not prove a confirmation.
_STATES = {
    "": _UNKNOWN,
    **dict.fromkeys(("active", "enabled", "subscribed", "ok"), _UNKNOWN),
    "confirmed": _CONFIRMED,
    "paused": ImportedState(SubscriberState.PAUSED),
    **dict.fromkeys(("pending", "unconfirmed"), _PENDING),
    **dict.fromkeys(
        ("unsubscribed", "disabled", "inactive", "archived", "deleted", "opted_out", "optout",
         "nonsubscribed", "non_subscribed", "transactional"),
        _UNSUBSCRIBED,
    ),
    **dict.fromkeys(
        ("blocklisted", "blacklisted", "blocked", "suppressed", "unsubscribed_for_good"), _BLOCKED
    ),
    **dict.fromkeys(("cleaned", "bounced", "hard_bounce", "hard_bounced", "bounce"), _BOUNCED),
    **dict.fromkeys(("complained", "complaint", "abuse", "spam", "spam_complaint"), _COMPLAINED),
}  # fmt: skip
_NAMES = "topic_name"
_MEASURES = "topic_comes"
# A `|` or a new line ends a part, unless it is between double quotes.
_PART = linear_regex.compile(r'((?:"[^"]*"|[^|\r\n])*)(?:[|\r\n]|\Z)')
_BETWEEN_WORDS = linear_regex.compile(r"[\s_-]+")
_COMPLAINTS = linear_regex.compile(r"abuse|spam|complain", "i")


def normalize_name(name: str) -> str:
    """Return a column's name in lower case, with `_` for spaces and hyphens."""
    return _BETWEEN_WORDS.sub("_", name.strip().casefold())


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file, by their normalised names."""

    names: tuple[str, ...]
    format: ImportFormat

    def parse_row(self, line: int, fields: Sequence[str], defaults: SignUpForm) -> ImportRow:
        """Return the person of a row, with `defaults` for empty fields. Raises `RowFault`."""
        if len(fields) > len(self.names) and any(fields[len(self.names) :]):
            raise RowFault("more fields than columns; put quotes around fields with a separator")
        # Of several columns with one name the first counts.
        row = dict(zip(reversed(self.names), reversed(_padded(fields, self.names)), strict=True))
        form = _parse_form(row, defaults, self._split_topics(fields, row))
        form = replace(form, measures=self._split_measures(fields, row))
        return ImportRow(line, form, _parse_state(row, self.format))

    def _split_topics(self, fields: Sequence[str], row: dict[str, str]) -> list[tuple[str, str]]:
        """Return the topics of all columns `topic…`, each with its name.

        In a field they are separated by `|` outside quotes, as are their names in `topic_name…`.
        """
        return [
            (topic, name)
            for column, text in zip(self.names, fields, strict=False)
            if column.startswith("topic") and not column.startswith((_NAMES, _MEASURES))
            for topic, name in _pair(text, row.get(column.replace("topic", _NAMES, 1), ""))
        ]

    def _split_measures(self, fields: Sequence[str], row: dict[str, str]) -> tuple[str, ...]:
        """Return when the topics of all columns `topic…` come, of columns `topic_comes…`."""
        return tuple(
            measure.strip()
            for column, text in zip(self.names, fields, strict=False)
            if column.startswith("topic") and not column.startswith((_NAMES, _MEASURES))
            for _, measure in _pair(text, row.get(column.replace("topic", _MEASURES, 1), ""))
        )

    def find_email(self, fields: Sequence[str]) -> str:
        """Return the address of a row as written, or an empty text."""
        found = zip(self.names, fields, strict=False)
        return next((text for name, text in found if name in EMAIL_COLUMNS), "")


def _pair(topics: str, names: str) -> list[tuple[str, str]]:
    """Return the topics of a field with their names; a lone topic's name may contain a `|`."""
    parts = _PART.findall(topics)
    if parts[0] == topics:
        return [(topics, names)] if topics.strip() else []
    pairs = zip_longest(parts, _PART.findall(names), fillvalue="")
    return [(topic, name) for topic, name in pairs if topic.strip()]


def _padded(fields: Sequence[str], names: Sequence[str]) -> list[str]:
    given = [field.strip() for field in fields[: len(names)]]
    return given + [""] * (len(names) - len(given))


def recognize_columns(header: Iterable[str]) -> Columns | None:
    """Return the columns that a first line names, or None if none of them is for addresses."""
    names = tuple(map(normalize_name, header))
    if not set(names) & set(EMAIL_COLUMNS):
        return None
    found = (each for each, signs in _SIGNS if signs <= set(names))
    return Columns(names, next(found, ImportFormat.PAPERBOY))


def parse_addresses(line: int, text: str, defaults: SignUpForm) -> list[ImportRow]:
    """Return the people of a line of addresses, each like `Ada <ada@example.org>` or bare."""
    found = [address for _, address in getaddresses([text.replace(";", ",")]) if address]
    if not any("@" in address for address in found):
        found = [text.strip()]
    return [ImportRow(line, replace(defaults, email=address), _UNKNOWN) for address in found]


def _parse_form(
    row: dict[str, str], defaults: SignUpForm, topics: list[tuple[str, str]]
) -> SignUpForm:
    email = next(row[name] for name in EMAIL_COLUMNS if name in row)
    if email.endswith(">"):
        ((_, email),) = getaddresses([email])[:1]
    empty_digests = parse_truth(row.get("empty_digests", ""), "empty_digests")
    ai_summaries = parse_truth(row.get("ai_summaries", ""), "ai_summaries")
    return replace(
        defaults,
        email=email,
        topics=tuple(topic for topic, _ in topics) or defaults.topics,
        names=tuple(name for _, name in topics),
        has_empty_digests=bool(empty_digests),
        has_ai_summaries=defaults.has_ai_summaries if ai_summaries is None else ai_summaries,
        cadence=row.get("cadence") or defaults.cadence,
        hour=row.get("hour") or defaults.hour,
        timezone=row.get("timezone") or defaults.timezone,
        timing=row.get("timing") or defaults.timing,
        full_cards=row.get("full_cards") or defaults.full_cards,
        max_papers=row.get("max_papers") or defaults.max_papers,
        weekly_topics_on=row.get("weekly_topics_on") or defaults.weekly_topics_on,
    )


def parse_truth(text: str, column: str) -> bool | None:
    """Return yes or no, or None for an empty field. Raises `RowFault` for anything else."""
    match text.casefold():
        case "":
            return None
        case "yes" | "true" | "t" | "y" | "1":
            return True
        case "no" | "false" | "f" | "n" | "0":
            return False
    raise RowFault(f"{column} must be yes or no, not {text!r}")


_TIME = linear_regex.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(\.\d{1,6})?\d*\s*(Z|[+-]\d\d:?\d\d)?)?"
)


def parse_time(text: str) -> datetime | None:
    """Return a time as ISO 8601, Mailchimp or Go write it, in UTC; None if it is not readable.

    A time without an offset is in UTC.
    """
    found = _TIME.match(text)
    if found is None:
        return None
    day, clock, fraction, offset = found.groups(default="")
    try:
        moment = datetime.fromisoformat(
            f"{day}T{clock or '00:00'}{fraction if clock.count(':') == 2 else ''}{offset or 'Z'}"
        )
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _parse_state(row: dict[str, str], written_by: ImportFormat) -> ImportedState:
    """Return what a row says of the person; a time of confirmation is its proof."""
    word = normalize_name(row.get("status") or row.get("state") or "")
    # Mailchimp's and Ghost's own columns decide; a column `Status` there is somebody's own.
    is_own = written_by in {ImportFormat.PAPERBOY, ImportFormat.LISTMONK}
    state = _STATES.get(word, None if is_own else _UNKNOWN)
    if state is None:
        raise RowFault(f"the state {word!r} is unknown; use active, unsubscribed or blocklisted")
    created_at = parse_time(row.get("created_at") or row.get("optin_time") or "")
    confirmed_at = parse_time(row.get("confirmed_at") or row.get("confirm_time") or "")
    by_columns = _state_of_columns(row, written_by)
    # The worse counts, so that no word brings back somebody who left; of equals the first.
    state = max((state, by_columns) if is_own else (by_columns, state), key=_badness)
    if state is _CONFIRMED and confirmed_at is None:
        confirmed_at = created_at
    if state is _UNKNOWN and confirmed_at is not None:
        state = _CONFIRMED
    if state.state is SubscriberState.PAUSED and confirmed_at is None:
        state = _PENDING
    return replace(
        state,
        detail=f"imported from {written_by}" if state.reason else "",
        created_at=created_at or confirmed_at,
        confirmed_at=confirmed_at,
        unsubscribed_at=parse_time(row.get("unsubscribed_at") or row.get("unsub_time") or ""),
        paused_until=_parse_date(row.get("paused_until", "")),
    )


_BADNESS = {
    SubscriberState.PAUSED: 1,
    SubscriberState.PENDING: 1,
    SubscriberState.UNSUBSCRIBED: 2,
    SubscriberState.SUPPRESSED: 3,
}


def _badness(state: ImportedState) -> int:
    return _BADNESS.get(state.state, 0) if state.state else 0


def _state_of_columns(row: dict[str, str], written_by: ImportFormat) -> ImportedState:
    match written_by:
        case ImportFormat.MAILCHIMP:
            return _mailchimp_state(row)
        case ImportFormat.SUBSTACK:
            is_disabled = parse_truth(row["email_disabled"], "email_disabled")
            return _UNSUBSCRIBED if is_disabled else _UNKNOWN
        case ImportFormat.GHOST:
            # Ghost makes a member when the link in its mail to the address is opened.
            is_subscribed = parse_truth(row["subscribed_to_emails"], "subscribed_to_emails")
            if is_subscribed is None and not row.get("deleted_at"):
                return _UNKNOWN
            return _CONFIRMED if is_subscribed and not row.get("deleted_at") else _UNSUBSCRIBED
    if row.get("unsubscribed_at") or row.get("unsub_time"):
        return _UNSUBSCRIBED
    return _UNKNOWN


def _mailchimp_state(row: dict[str, str]) -> ImportedState:
    """Return the state by the file (subscribed, unsubscribed, cleaned), each with its own column.

    An export of a segment has the columns of all; there the time itself decides.
    """
    is_of_one_kind = "last_changed" not in row
    if row.get("clean_time") or (is_of_one_kind and "clean_time" in row):
        return _BOUNCED
    if row.get("unsub_time") or (is_of_one_kind and "unsub_time" in row):
        reasons = f"{row.get('unsub_reason', '')} {row.get('unsub_reason_other', '')}"
        return _COMPLAINED if _COMPLAINTS.search(reasons) else _UNSUBSCRIBED
    return _UNKNOWN


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
