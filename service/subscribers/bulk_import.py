"""Add one subscriber, or import many from a file, for the operator."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mails
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.subscribers.domain.import_columns import ImportFormat, ImportRow
from service.subscribers.domain.sign_up import ImportedState, SignUpForm, ValidSignUp
from service.subscribers.import_file import FileRow, ImportFault, ImportSource, RejectedRow
from service.subscribers.import_report import ReportFile
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.insert_subscribers import (
    find_pending,
    find_states,
    insert_subscribers,
    lock_imports,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import activate, find_by_email
from service.subscribers.store.suppressions import (
    NewSuppression,
    find_suppressed,
    insert_suppressions,
    is_suppressed,
)
from service.subscribers.validate import SignUpError, check_sign_up
from service.topics.topics import MOST_TOPICS, TopicError, check_topics

# One transaction each; also the most rows in memory.
IMPORT_ROWS = 1000
# Topics whose check is remembered, in all rows together.
MOST_CHECKED = 20_000
# As long as the link in a confirmation is valid: a relay may need days for a hundred thousand.
CONFIRMATION_LIFETIME = timedelta(days=7)


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
class ImportChoices:
    """The operator's choices for one import.

    `defaults` fill what a row leaves empty. `is_confirmed` is None to believe the file: people
    whose confirmation it proves are active, the others are sent a confirmation mail. True: the
    operator vouches for the others, too. False: everybody has to confirm again. `has_checked_lists`:
    nobody in a file of listmonk has left the list; its export does not say so.
    """

    defaults: SignUpForm
    report_path: Path
    is_confirmed: bool | None = None
    is_dry_run: bool = False
    has_checked_lists: bool = False


@dataclass(slots=True)
class ImportReport:
    """The counts of an import, by state.

    `added` and `suppressed` are new; `known` were here before, or earlier in the file, and stay as
    they are; of those `differing` are subscribed here although the file says that they left.
    """

    format: str
    is_dry_run: bool = False
    added: dict[str, int] = field(default_factory=dict)
    suppressed: dict[str, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    differing: int = 0
    rejected: int = 0
    report: str | None = None


@dataclass(slots=True)
class ImportRun:
    """An import on its way.

    `here`: states of addresses that a dry run would have added; `topics`: the results of
    `check_topics`, since many people have the same.
    """

    settings: Settings
    choices: ImportChoices
    now: datetime
    report: ImportReport
    here: dict[str, SubscriberState] = field(default_factory=dict)
    topics: dict[str, str | TopicError] = field(default_factory=dict)


# `enabled` there is the person; whether they left a list is in another table.
_UNCHECKED_LISTS = (
    "an export of listmonk does not say who unsubscribed from a list, and they would be mailed again:"
    " export only those whose subscription to the list is confirmed, and add --lists-checked"
)


def import_file(
    sessions: sessionmaker[Session],
    settings: Settings,
    source: ImportSource,
    choices: ImportChoices,
    now: datetime,
    set_done: Callable[[int, int], None],
) -> ImportReport:
    """Import a file, a thousand rows in a transaction; each bad row goes to the report file.

    Nobody who is here already is changed, so a second run adds only what the first one did not.
    Raises `ImportFault` for a file without usable columns or of listmonk with unchecked lists, and
    OSError for the report file.
    """
    report_file = ReportFile(choices.report_path, source.path)
    with source.open_rows(choices.defaults) as (format_, rows), closing(report_file):
        if format_ is ImportFormat.LISTMONK and not choices.has_checked_lists:
            raise ImportFault(_UNCHECKED_LISTS)
        run = ImportRun(settings, choices, now, ImportReport(format_.value, choices.is_dry_run))
        while chunk := list(islice(rows, IMPORT_ROWS)):
            with transaction(sessions) as session:
                rejected = import_rows(session, run, chunk)
            report_file.write(rejected)
            set_done(chunk[-1].line, source.line_count)
    run.report.report = str(report_file.path) if report_file.row_count else None
    return run.report


def import_rows(session: Session, run: ImportRun, rows: Sequence[FileRow]) -> list[RejectedRow]:
    """Import some rows in the caller's transaction, count them, and return those not taken."""
    valid, rejected = _validate_rows(session, run, rows)
    run.report.rejected += len(rejected)
    lock_imports(session)
    here = run.here | _find_here(session, run, valid)
    new: list[ValidSignUp] = []
    for line, form in valid:
        found = here.get(form.email_key)
        if found is None:
            new.append(form)
            here[form.email_key] = _new_state(form)
            _count_new(run.report, form)
            continue
        _count(run.report.known, found)
        if found in _SUBSCRIBED and _new_state(form) not in _SUBSCRIBED:
            run.report.differing += 1
            rejected.append(RejectedRow(line, form.email, _describe_difference(found, form)))
    if run.choices.is_dry_run:
        run.here |= {form.email_key: _new_state(form) for form in new}
    else:
        _insert_rows(session, new, run.settings.secret_key, run.now)
    return sorted(rejected, key=lambda row: row.line)


def _find_here(
    session: Session, run: ImportRun, valid: Sequence[tuple[int, ValidSignUp]]
) -> dict[str, SubscriberState]:
    """Return the states of those who are here; a suppressed address counts as such."""
    keys = [form.email_key for _, form in valid]
    suppressed = find_suppressed(session, keys, run.settings.secret_key)
    return find_states(session, keys) | dict.fromkeys(suppressed, SubscriberState.SUPPRESSED)


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _new_state(form: ValidSignUp) -> SubscriberState:
    imported = form.imported or ImportedState()
    return imported.state or SubscriberState.PENDING


def _count_new(report: ImportReport, form: ValidSignUp) -> None:
    imported = form.imported or ImportedState()
    if imported.reason:
        _count(report.suppressed, imported.reason)
    else:
        _count(report.added, _new_state(form))


_SUBSCRIBED = {SubscriberState.PENDING, SubscriberState.ACTIVE, SubscriberState.PAUSED}


def _describe_difference(found: SubscriberState, form: ValidSignUp) -> str:
    state = _new_state(form)
    remedy = (
        "paperboy suppress"
        if state is SubscriberState.SUPPRESSED
        else "paperboy subscribers unsubscribe"
    )
    return f"{found} here and {state} in the file: stays as it is; to change it: {remedy}"


def _insert_rows(
    session: Session, new: Sequence[ValidSignUp], secrets: tuple[str, ...], now: datetime
) -> None:
    suppressed = [
        NewSuppression(form.email_key, form.imported.reason, form.imported.detail)
        for form in new
        if form.imported and form.imported.reason
    ]
    if suppressed:
        insert_suppressions(session, suppressed, secrets[0], now)
    ids = insert_subscribers(session, list(filter(_has_row, new)), now, is_confirmed=False)
    if waiting := find_pending(session, ids):
        until = now + CONFIRMATION_LIFETIME
        insert_mails(session, DeliveryKind.CONFIRMATION, waiting, "1", now, until)


def _has_row(form: ValidSignUp) -> bool:
    return form.imported is None or form.imported.reason is None or form.imported.has_row


def _validate_rows(
    session: Session, run: ImportRun, rows: Sequence[FileRow]
) -> tuple[list[tuple[int, ValidSignUp]], list[RejectedRow]]:
    """Return the sign-ups with their lines, and the rows with faults."""
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    people = []
    for row in rows:
        if isinstance(row, ImportRow) and _is_storable(row.form):
            people.append(row)
        elif isinstance(row, ImportRow):
            rejected.append(RejectedRow(row.line, "", "a character that cannot be stored (NUL)"))
    topics = _check_topics(session, run, people)
    valid = []
    for row in people:
        try:
            form = check_sign_up(row.form, topics, takes_utf8=run.settings.smtputf8)
        except SignUpError as error:
            rejected.append(RejectedRow(row.line, row.form.email, str(error)))
        else:
            valid.append((row.line, _with_choice(form, row, run.choices.is_confirmed)))
    return valid, rejected


def _check_topics(
    session: Session, run: ImportRun, people: Sequence[ImportRow]
) -> Mapping[str, str | TopicError]:
    """Return the canonical form or the error of each topic; known ones are not checked again."""
    if len(run.topics) > MOST_CHECKED:
        run.topics.clear()
    written = (text for row in people for _, text in row.form.written_topics()[:MOST_TOPICS])
    run.topics |= check_topics(
        session, (text for text in written if text not in run.topics), is_public=False
    )
    return run.topics


def _is_storable(form: SignUpForm) -> bool:
    """Return whether PostgreSQL can store the texts of a form."""
    text = "".join((form.email, form.locale, form.timezone, *form.topics))
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _with_choice(form: ValidSignUp, row: ImportRow, is_confirmed: bool | None) -> ValidSignUp:
    """Return the sign-up with the state that the file and the operator give it together."""
    imported = row.imported
    running = {SubscriberState.ACTIVE, SubscriberState.PAUSED}
    if imported.state is None and is_confirmed:
        # The operator's word, not the file's: the consent is recorded as of today.
        imported = replace(imported, state=SubscriberState.ACTIVE)
        return replace(form, imported=imported, page="operator")
    if is_confirmed is False and imported.state in running:
        imported = replace(imported, state=SubscriberState.PENDING, confirmed_at=None, consents=())
    return replace(form, imported=imported)
