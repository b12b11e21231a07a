"""Add one subscriber, or import many from a CSV file, for the operator."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from typing import Any

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.subscribers.domain.sign_up import SignUpForm, ValidSignUp
from service.subscribers.queue_mails import queue_confirmation
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import activate, find_by_email, insert_subscribers
from service.subscribers.store.suppressions import find_suppressed, is_suppressed
from service.subscribers.validate import SignUpError, check_sign_up
from service.topics.topics import TopicError, check_topics


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The counts of an import; known and suppressed addresses are left unchanged."""

    added: int
    known: int
    suppressed: int


class ImportFault(ValueError):
    """A file cannot be imported; the text is one line and names the line. Nothing was written."""


def blank_sign_up(settings: Settings, email: str, topics: Sequence[str] = ()) -> SignUpForm:
    """Return a sign-up with this installation's defaults."""
    return SignUpForm(
        email=email,
        topics=tuple(topics),
        hour=str(settings.digest_hour),
        timezone=settings.digest_timezone,
        page="operator",
    )


def add_subscriber(
    session: Session,
    form: ValidSignUp,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    is_confirmed: bool,
) -> Subscriber | None:
    """Add a subscriber; return None, without a change, if the address is known or suppressed.

    With `is_confirmed` the operator vouches for the address and no mail goes out.
    """
    key = form.email_key
    if find_by_email(session, key) is not None or is_suppressed(session, key, secrets):
        return None
    request_subscription(session, form, secrets, now, asks=not is_confirmed)
    subscriber = find_by_email(session, key, lock=True)
    if subscriber is not None and is_confirmed:
        activate(session, subscriber, "operator", now)
    return subscriber


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A sign-up from a file and the line (1 is the first) on which it ends."""

    line: int
    form: SignUpForm


def parse_import(text: str, settings: Settings) -> list[ImportRow]:
    """Return the sign-ups of a CSV file. Raises `ImportFault` for the first invalid line.

    Columns: `email`, any `topic…`, `cadence`, `hour`, `timezone`, `empty_digests` (yes or no).
    """
    # newline="" keeps line ends: csv itself handles those of every system, also inside quotes.
    rows = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        columns = list(rows.fieldnames or [])
        if "email" not in columns:
            raise ImportFault("line 1: the first line must name the columns, one of them “email”")
        if len(set(columns)) < len(columns):
            raise ImportFault("line 1: two columns have the same name; use topic1, topic2 …")
        return [ImportRow(rows.line_num, _parse_row(rows.line_num, row, settings)) for row in rows]
    except csv.Error as error:
        raise ImportFault(f"line {rows.reader.line_num}: not CSV: {error}") from error


def _parse_row(line: int, row: dict[str, Any], settings: Settings) -> SignUpForm:
    if None in row:
        raise ImportFault(f"line {line}: more fields than columns; put quotes around commas")
    topics = [value for name, value in row.items() if name.startswith("topic") and value]
    answer = (row.get("empty_digests") or "no").strip().casefold()
    if answer not in {"yes", "no"}:
        raise ImportFault(f"line {line}: empty_digests must be yes or no")
    form = blank_sign_up(settings, row["email"] or "", topics)
    given = {name: row[name] for name in ("cadence", "hour", "timezone") if row.get(name)}
    return replace(form, has_empty_digests=answer == "yes", **given)


def import_subscribers(
    session: Session,
    rows: Sequence[ImportRow],
    secrets: tuple[str, ...],
    now: datetime,
    *,
    is_confirmed: bool,
    takes_utf8: bool = False,
) -> ImportReport:
    """Insert every new sign-up, in bulk; the first of several for one address counts.

    Raises `ImportFault`; the caller rolls back.
    """
    forms = _validate_rows(session, rows, takes_utf8=takes_utf8)
    by_key = {form.email_key: form for form in reversed(forms)}
    suppressed = find_suppressed(session, by_key, secrets)
    new = [form for key, form in reversed(by_key.items()) if key not in suppressed]
    ids = insert_subscribers(session, new, now, is_confirmed=is_confirmed)
    if not is_confirmed:
        for subscriber_id in ids:
            queue_confirmation(session, session.get_one(Subscriber, subscriber_id), now)
    suppressed_count = sum(form.email_key in suppressed for form in forms)
    return ImportReport(len(ids), len(rows) - len(ids) - suppressed_count, suppressed_count)


def _validate_rows(
    session: Session, rows: Sequence[ImportRow], *, takes_utf8: bool
) -> list[ValidSignUp]:
    """Return the sign-ups of a file; every distinct topic is checked once."""
    topics: dict[str, str | TopicError] = {}
    forms = []
    for row in rows:
        unchecked = [text for _, text in row.form.written_topics() if text not in topics]
        topics |= check_topics(session, unchecked)
        try:
            forms.append(check_sign_up(row.form, topics, takes_utf8=takes_utf8))
        except SignUpError as error:
            raise ImportFault(f"line {row.line}: {error}") from error
    return forms
