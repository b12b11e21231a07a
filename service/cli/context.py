"""The context of every command: settings, servers, a clock, and its output.

A command prints for people, or one JSON value with `--json`; errors are one line on stderr.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.output import Output

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from service.papers.store.crawl_gate import SharedRateLimiter
    from service.platform.clock import Clock
    from service.platform.settings.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Date = Annotated[
    str | None, typer.Option(metavar="DATE", help="A date like 2026-09-18; default: today.")
]


class CommandError(Exception):
    """A command that cannot be done: one line that says what to do, and the exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the command."""

    now: datetime | None = None
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The context of a running command: its servers answer, and the schema is the newest."""

    settings: Settings
    sessions: sessionmaker[Session]
    clock: Clock
    output: Output

    @property
    def rate_limiter(self) -> SharedRateLimiter:
        """The limiter of requests to sources, shared by all processes on this database."""
        from service.papers.store.crawl_gate import SharedRateLimiter

        return SharedRateLimiter(self.sessions.kw["bind"])

    def print(self, value: object, *lines: str) -> None:
        self.output.print(value, *lines)

    def wake_sender(self) -> None:
        """Wake a running worker to send the mail; without one, the command `deliver` sends it."""
        from service.platform.queue import make_enqueue, wake_senders

        wake_senders(make_enqueue(self.settings.queue_url))


def make_output(context: typer.Context, *, as_json: bool) -> Output:
    """Return the output; `--json` may stand before the command or after it."""
    given: Globals = context.obj
    return Output(as_json or given.is_json)


@contextmanager
def open_settings(loaded: Settings | None = None) -> Iterator[tuple[Settings, Settings]]:
    """Yield the settings as loaded, and with both server URLs; start embedded ones if necessary.

    `loaded` are settings to use instead of the operator's.
    """
    from service.papers.domain.source_names import SOURCE_NAMES
    from service.platform.embedded import resolve_services
    from service.platform.logs import configure
    from service.platform.settings.load import load_settings

    loaded = loaded or load_settings(SOURCE_NAMES)
    # A command prints its own result; logs of libraries and actions are for servers' journals.
    configure(loaded.log_level if "log_level" in loaded.model_fields_set else "WARNING")
    with resolve_services(loaded) as settings:
        yield loaded, settings


@contextmanager
def command_context(
    context: typer.Context,
    *,
    as_json: bool = False,
    needs_schema: bool = True,
    loaded: Settings | None = None,
) -> Iterator[CommandContext]:
    """Yield the context, with the schema at head. Raises `CommandError` where it is older.

    Without `needs_schema` an operator's database is accepted as it is, for the doctor to check.
    """
    import service.operations.store.tables  # noqa: F401  # registers every table
    from service.platform.clock import clock_from
    from service.platform.database.engine import make_engine, make_sessions

    given: Globals = context.obj
    with ExitStack() as stack:
        loaded, settings = stack.enter_context(open_settings(loaded))
        if needs_schema or not loaded.database_url:
            _check_schema(loaded, settings)
        engine = make_engine(settings.database_url)
        stack.callback(engine.dispose)
        output = make_output(context, as_json=as_json)
        yield CommandContext(settings, make_sessions(engine), clock_from(given.now), output)


def _check_schema(loaded: Settings, settings: Settings) -> None:
    """Migrate the embedded database to head; an operator's is only migrated on request."""
    from service.platform.database.migrate import current_revision, head_revision, upgrade

    if current_revision(settings.database_url) == head_revision():
        return
    if not loaded.database_url:
        upgrade(settings.database_url)
    else:
        raise CommandError("the database is not at the newest schema; run: paperboy migrate")


def parse_moment(text: str | None, option: str) -> datetime | None:
    """Return a time option in UTC. Raises `CommandError` (exit 2) with the form that is needed."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{option} needs a time like 2026-09-18T05:00Z, not {text!r}"
        raise CommandError(message, 2) from error


def parse_date(text: str | None, option: str) -> date | None:
    """Return a date option. Raises `CommandError` (exit 2) with the form that is needed."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option} needs a date like 2026-09-18, not {text!r}", 2) from error


def parse_day(command: CommandContext, text: str | None, option: str = "--date") -> date:
    """Return the requested date, or arXiv's current announcement date."""
    from service.papers.domain.announcement_days import announcement_date

    return parse_date(text, option) or announcement_date(command.clock())
