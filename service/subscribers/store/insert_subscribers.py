"""Insert many subscribers at once, with what an import file says of their past."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic_core import to_json
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.copy_rows import copy_rows
from service.platform.database.text_formats import write_numbers, write_texts
from service.subscribers.domain.sign_up import ImportedState, ValidSignUp
from service.subscribers.store.subscribers import CONSENT_TEXT_VERSION, name_distinct, row_values
from service.topics.domain.types import TopicMeasure
from service.topics.store.save_compiled import save_compiled_topics


def insert_subscribers(
    session: Session, new: Sequence[ValidSignUp], now: datetime, *, is_confirmed: bool
) -> list[int]:
    """Insert sign-ups whose address is new, with topics and consents; return the new ids.

    A row is active with `is_confirmed` and pending without, unless it was `imported` with a state.
    The number of statements does not depend on the number of rows.
    """
    by_key = {form.email_key: form for form in new}
    if not by_key:
        return []
    state = SubscriberState.ACTIVE if is_confirmed else SubscriberState.PENDING
    values = [_imported_values(form, state, now) for form in by_key.values()]
    inserted = session.execute(_INSERT, {"rows": to_json(values).decode()}).all()
    rows = [_NewRow(i, by_key[key], state) for i, key in inserted]
    _insert_topics(session, rows, now)
    copy_rows(
        session,
        "consents (subscriber_id, action, text_version, page, created_at)",
        ((row.id, *consent) for row in rows for consent in _consents(row, now)),
    )
    return [row.id for row in rows]


# Advisory lock: one import at a time inserts rows, since two would take the same keys in other orders.
_IMPORT_LOCK = 20592_16


def lock_imports(session: Session) -> None:
    """Wait until no other import inserts rows, and let none do so until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_IMPORT_LOCK)))


_COLUMNS = (
    "email, email_key, state, cadence, hour, timezone, timing, has_empty_digests, has_ai_summaries, full_cards,"
    " max_papers, weekly_topics_on,"
    " created_at, confirmed_at, unsubscribed_at, paused_at, paused_until, catch_up_since, has_catch_up, has_suggestions, locale"
)
# One parameter with all rows: a statement with sixteen thousand costs more than their insertion.
_INSERT = text(f"""
INSERT INTO subscribers ({_COLUMNS})
SELECT {_COLUMNS} FROM json_populate_recordset(CAST(NULL AS subscribers), CAST(:rows AS json))
ON CONFLICT DO NOTHING
RETURNING id, email_key
""")  # noqa: S608  # the columns are ours


class _NewRow(NamedTuple):
    id: int
    form: ValidSignUp
    default_state: SubscriberState

    @property
    def state(self) -> SubscriberState:
        imported = self.form.imported
        return (imported and imported.state) or self.default_state


_KEPT_TIMES = ("confirmed_at", "paused_at", "paused_until", "catch_up_since")


def _imported_values(
    form: ValidSignUp, default_state: SubscriberState, now: datetime
) -> dict[str, object]:
    """Return a row with what its file says of the past; what it leaves out happens now."""
    imported = form.imported or ImportedState()
    state = imported.state or default_state
    values = row_values(form, state, now) | {name: getattr(imported, name) for name in _KEPT_TIMES}
    if state is SubscriberState.ACTIVE:
        values["confirmed_at"] = imported.confirmed_at or now
    has_left = state is SubscriberState.UNSUBSCRIBED
    return values | {
        "created_at": imported.created_at or now,
        "unsubscribed_at": imported.unsubscribed_at or (now if has_left else None),
        "has_catch_up": imported.has_catch_up,
        "has_suggestions": imported.has_suggestions,
        "locale": form.locale,
    }


def _insert_topics(session: Session, rows: Sequence[_NewRow], now: datetime) -> None:
    numbers = save_compiled_topics(
        session, {text for row in rows for _, text in row.form.preferences.topics}
    )
    copy_rows(
        session,
        "topics (subscriber_id, name, query, canonical, canonical_id, position, created_at,"
        " is_weekly, at_least)",
        (
            (
                row.id,
                name,
                query,
                canonical,
                numbers[canonical],
                position,
                now,
                *row.form.preferences.measures.get(canonical, TopicMeasure()),
            )
            for row in rows
            for position, (name, canonical, query) in enumerate(name_distinct(row.form.preferences))
        ),
    )


# What the state of a new row says of the consent to it.
_ACTIONS = {
    SubscriberState.ACTIVE: "confirmed",
    SubscriberState.PAUSED: "confirmed",
    SubscriberState.UNSUBSCRIBED: "unsubscribed",
}


def _consents(row: _NewRow, now: datetime) -> list[tuple[str, str, str, datetime]]:
    """Return (action, text version, page, time) of each consent of a new row."""
    imported = row.form.imported or ImportedState()
    if imported.consents:
        return [
            (each.action, each.text_version, each.page, each.created_at)
            for each in imported.consents
        ]
    action = _ACTIONS.get(row.state, "requested")
    if row.state is SubscriberState.UNSUBSCRIBED and imported.unsubscribed_at is None:
        # Nobody left today, so the count of those who did must not take it for that.
        action = "imported as unsubscribed"
    times = {"confirmed": imported.confirmed_at, "unsubscribed": imported.unsubscribed_at}
    # Consent that was given elsewhere was given to another text.
    is_ours = imported.state is None or row.form.page == "operator"
    version = CONSENT_TEXT_VERSION if is_ours else ""
    return [(action, version, row.form.page, times.get(action) or now)]


_FIND_STATES = text("""
SELECT email_key, state FROM subscribers WHERE email_key = ANY(CAST(:keys AS text[]))
""")


def find_states(session: Session, email_keys: Iterable[str]) -> dict[str, SubscriberState]:
    """Return the states of those of these addresses that have a row."""
    rows = session.execute(_FIND_STATES, {"keys": write_texts(email_keys)})
    return {key: SubscriberState(state) for key, state in rows}


_FIND_PENDING = text("""
SELECT id FROM subscribers WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'pending'
""")


def find_pending(session: Session, subscriber_ids: Iterable[int]) -> Sequence[int]:
    """Return those of these subscribers who are pending."""
    return session.scalars(_FIND_PENDING, {"ids": write_numbers(subscriber_ids)}).all()
