"""Subscribers as the operator handles them: add and import."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import StringIO
from typing import Any

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.subscribers.sign_up import (
    SignUp,
    SignUpError,
    activate,
    ask_for_confirmation,
    read_address,
    read_form_preferences,
    request_subscription,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    NewSubscriber,
    find_by_email,
    insert_subscribers,
)
from service.subscribers.store.suppressions import find_suppressed, is_suppressed
from service.topics.domain.language import canonical
from service.topics.topics import TopicError, read_topic


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import came to; known and suppressed addresses are left as they were."""

    added: int
    known: int
    suppressed: int


class ImportFault(ValueError):
    """A file cannot be imported; one line names the file's line. Nothing was written."""


def blank_sign_up(settings: Settings, email: str, topics: Sequence[str] = ()) -> SignUp:
    """A sign-up with this installation's defaults."""
    return SignUp(
        email=email,
        topics=tuple(topics),
        cadence="daily",
        hour=str(settings.digest_hour),
        timezone=settings.digest_timezone,
        page="operator",
        takes_utf8=settings.smtputf8,
    )


def add_subscriber(
    session: Session, form: SignUp, secrets: tuple[str, ...], now: datetime, *, is_confirmed: bool
) -> Subscriber | None:
    """Sign somebody up; None if the address is known or suppressed, which changes nothing.

    With `is_confirmed` the operator vouches for the address and no mail goes out.
    """
    key = email_key(read_address(form.email, takes_utf8=form.takes_utf8))
    if find_by_email(session, key) is not None or is_suppressed(session, key, secrets):
        return None
    request_subscription(session, form, secrets, now, asks=not is_confirmed)
    reader = find_by_email(session, key, lock=True)
    if reader is not None and is_confirmed:
        activate(session, reader, "operator", now)
    return reader


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A sign-up of a file and the line (1 is the first) on which it ends."""

    line: int
    form: SignUp


def read_import(text: str, settings: Settings) -> list[ImportRow]:
    """The sign-ups of a CSV file: `email`, any columns named `topic…`, `cadence hour timezone
    empty_digests` (yes or no).

    Raises `ImportFault` for the first line that cannot be used.
    """
    # Line ends stay as they are: csv itself reads those of every system, also inside quotes.
    rows = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        columns = list(rows.fieldnames or [])
        if "email" not in columns:
            raise ImportFault("line 1: the first line must name the columns, one of them “email”")
        if len(set(columns)) < len(columns):
            raise ImportFault("line 1: two columns have the same name; use topic1, topic2 …")
        return [ImportRow(rows.line_num, _read_row(rows.line_num, row, settings)) for row in rows]
    except csv.Error as error:
        raise ImportFault(f"line {rows.reader.line_num}: not CSV: {error}") from error


def _read_row(line: int, row: dict[str, Any], settings: Settings) -> SignUp:
    if None in row:
        raise ImportFault(f"line {line}: more fields than columns; put quotes around commas")
    topics = [value or "" for name, value in row.items() if name.startswith("topic")]
    written = [" ".join(topic.split()) for topic in topics if topic.strip()]
    form = blank_sign_up(settings, row["email"] or "", written)
    given = {name: row[name] for name in ("cadence", "hour", "timezone") if row.get(name)}
    form = replace(form, **given)
    try:
        wants = _read_answer(row.get("empty_digests") or "no")
        form = replace(form, has_empty_digests=wants)
        read_address(form.email, takes_utf8=form.takes_utf8)
        read_form_preferences(form)
    except SignUpError as error:
        raise ImportFault(f"line {line}: {error}") from error
    return form


def _read_answer(text: str) -> bool:
    answer = text.strip().casefold()
    if answer not in {"yes", "no"}:
        raise SignUpError("empty_digests", "The answer in empty_digests is yes or no.")
    return answer == "yes"


def import_subscribers(
    session: Session,
    rows: Sequence[ImportRow],
    secrets: tuple[str, ...],
    now: datetime,
    *,
    is_confirmed: bool,
) -> ImportReport:
    """Add every sign-up that is new, in bulk; of two for one address the first counts.

    Raises `ImportFault`; the caller rolls back.
    """
    topics = _read_all_topics(session, rows)
    keys = [email_key(read_address(row.form.email, takes_utf8=row.form.takes_utf8)) for row in rows]
    by_key = {key: row.form for key, row in zip(reversed(keys), reversed(rows), strict=True)}
    suppressed = find_suppressed(session, by_key, secrets)
    new = {
        key: NewSubscriber(
            email=read_address(form.email, takes_utf8=form.takes_utf8),
            email_key=key,
            preferences=read_form_preferences(form),
            topics=tuple(topics[text] for text in form.topics),
        )
        for key, form in reversed(by_key.items())
        if key not in suppressed
    }
    ids = insert_subscribers(session, list(new.values()), now, is_confirmed=is_confirmed)
    if not is_confirmed:
        for subscriber_id in ids:
            ask_for_confirmation(session, session.get_one(Subscriber, subscriber_id), now)
    suppressed_count = sum(key in suppressed for key in keys)
    return ImportReport(len(ids), len(rows) - len(ids) - suppressed_count, suppressed_count)


def _read_all_topics(session: Session, rows: Sequence[ImportRow]) -> dict[str, tuple[str, str]]:
    """Every distinct topic of the file, read once: text -> (text, canonical form)."""
    topics: dict[str, tuple[str, str]] = {}
    for row in rows:
        for text in row.form.topics:
            if text not in topics:
                try:
                    topics[text] = (text, canonical(read_topic(session, text)))
                except TopicError as error:
                    raise ImportFault(f"line {row.line}: topic {text!r}: {error}") from error
    return topics
