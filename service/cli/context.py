"""What every command stands on: settings, servers, a clock, and how it speaks.

A command prints for people, or one JSON value with `--json`; errors are one line on stderr.
"""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    import service.operations.store.tables  # noqa: F401  # every table is known from here on
    from service.papers.store.crawl_gate import SharedGate
    from service.platform.clock import Clock
    from service.platform.settings.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
Date = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="A date like 2026-09-18; today where it is left out."),
]


class CommandError(Exception):
    """A command cannot do what was asked; one line that says what to do. Exit code as given."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the command."""

    now: datetime | None = None
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """How a command speaks: one JSON value, or lines for people."""

    is_json: bool

    def say(self, value: object, *lines: str) -> None:
        """Print the value as JSON, or the lines for people."""
        told = [to_json(value)] if self.is_json else map(printable, lines)
        print(*told, sep="\n", flush=True)


@dataclass(frozen=True, slots=True)
class Desk:
    """An open command: its servers are named, and the schema is the newest."""

    settings: Settings
    sessions: sessionmaker[Session]
    clock: Clock
    voice: Voice

    @property
    def gate(self) -> SharedGate:
        """The gate in front of arXiv that every process on this database shares."""
        from service.papers.sources.http_fetch import gate_name
        from service.papers.store.crawl_gate import SharedGate

        return SharedGate(self.sessions.kw["bind"], gate_name)

    def say(self, value: object, *lines: str) -> None:
        self.voice.say(value, *lines)


def find_voice(context: typer.Context, *, as_json: bool) -> Voice:
    """The voice that was asked for, before the command or behind it."""
    given: Globals = context.obj
    return Voice(as_json or given.is_json)


@contextmanager
def open_settings() -> Iterator[tuple[Settings, Settings]]:
    """The settings as given, and with both servers named (embedded ones are started if need be)."""
    from service.platform.embedded import resolve_services
    from service.platform.logs import configure
    from service.platform.settings.settings import load_settings

    loaded = load_settings()
    # A command speaks for itself; what libraries and actions log is for servers' journals.
    configure(loaded.log_level if "log_level" in loaded.model_fields_set else "WARNING")
    with resolve_services(loaded) as settings:
        yield loaded, settings


@contextmanager
def open_desk(
    context: typer.Context, *, as_json: bool = False, needs_schema: bool = True
) -> Iterator[Desk]:
    """Settings, servers and a schema at head. Raises `CommandError` where the schema is an old one.

    Without `needs_schema` an operator's database is taken as it is: the doctor looks at it.
    """
    from service.platform.clock import clock_from
    from service.platform.database.engine import make_engine, make_sessions

    given: Globals = context.obj
    with ExitStack() as stack:
        loaded, settings = stack.enter_context(open_settings())
        if needs_schema or not loaded.database_url:
            _check_schema(loaded, settings)
        engine = make_engine(settings.database_url)
        stack.callback(engine.dispose)
        voice = find_voice(context, as_json=as_json)
        yield Desk(settings, make_sessions(engine), clock_from(given.now), voice)


def _check_schema(loaded: Settings, settings: Settings) -> None:
    """Our own database is brought to head; an operator's is only ever migrated on request."""
    from service.platform.database.migrate import current_revision, head_revision, upgrade

    if current_revision(settings.database_url) == head_revision():
        return
    if not loaded.database_url:
        upgrade(settings.database_url)
    else:
        raise CommandError("the database is not at the newest schema; run: paperboy migrate")


def to_json(value: object) -> str:
    """A value as one line of JSON."""
    return json.dumps(to_plain(value), ensure_ascii=False)


def to_plain(value: object) -> Any:
    """A value as JSON knows it: dataclasses as objects, dates as ISO text, enums as their value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value


def printable(text: str) -> str:
    """Text without control characters: what a relay or a source says must not steer a terminal."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) != "Cc" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def counted(number: int, noun: str) -> str:
    """`1 paper`, `2 papers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their names, numbers to the right (`>name`).

    Plain text as wide as it needs to be: a terminal wraps it, and nothing is cut.
    """
    names = [column.lstrip(">") for column in columns]
    cells = [names, *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    places = [
        f"{{:>{width}}}" if column.startswith(">") else f"{{:{width}}}"
        for column, width in zip(columns, widths, strict=True)
    ]
    return "\n".join("  ".join(places).format(*row).rstrip() for row in cells)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[..., None]]:
    """A bar on stderr where a person watches; yields `set_done(done, whole)`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(label, total=None)

        def set_done(done: int, whole: int | None = None) -> None:
            bar.update(task, completed=done, total=whole)

        yield set_done


def read_date(text: str | None, option: str) -> date | None:
    """A date option. Raises `CommandError` (exit 2) with the form that is wanted."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option} wants a date like 2026-09-18, not {text!r}", 2) from error


def read_day(desk: Desk, text: str | None, option: str = "--date") -> date:
    """The date asked for, or the one at which arXiv's announcements stand now."""
    from service.papers.domain.announcement_days import announcement_date

    return read_date(text, option) or announcement_date(desk.clock())
