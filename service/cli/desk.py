"""What every command stands on: settings, servers, a clock, and how it speaks.

A command prints for people, or one JSON value with `--json`; errors are one line on stderr.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from sqlalchemy.orm import Session, sessionmaker

from service.clock import Clock, clock_from
from service.config import Settings, load_settings
from service.embedded import resolve_services
from service.logs import configure
from service.store.engine import make_engine, make_sessions
from service.store.migrate import current_revision, head_revision, upgrade

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


class CommandError(Exception):
    """A command cannot do what was asked; one line that says what to do. Exit code as given."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(slots=True)
class Globals:
    """The options before the command."""

    now: datetime | None = None
    is_json: bool = False


def _wide_console() -> Console:
    """The terminal as it is; a file or pipe gets lines as long as they need to be."""
    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=240)


@dataclass(slots=True)
class Desk:
    """An open command: its servers are reachable and at the newest schema."""

    settings: Settings
    sessions: sessionmaker[Session]
    clock: Clock
    is_json: bool
    console: Console = field(default_factory=_wide_console)

    def say(self, value: object, *lines: object) -> None:
        """Print the value as JSON, or the lines (text or rich tables) for people."""
        if self.is_json:
            print(json.dumps(to_plain(value), ensure_ascii=False))
            return
        for line in lines:
            self.console.print(line, highlight=False)


@contextmanager
def open_desk(context: typer.Context, *, as_json: bool = False) -> Iterator[Desk]:
    """Settings, servers (embedded ones are started if need be) and a schema at head."""
    given: Globals = context.obj
    with ExitStack() as stack:
        loaded = load_settings()
        # A command speaks for itself; what libraries and actions log is for servers' journals.
        configure(loaded.log_level if "log_level" in loaded.model_fields_set else "WARNING")
        settings = stack.enter_context(resolve_services(loaded))
        _check_schema(loaded, settings)
        engine = make_engine(settings.database_url)
        stack.callback(engine.dispose)
        yield Desk(settings, make_sessions(engine), clock_from(given.now), as_json or given.is_json)


def _check_schema(loaded: Settings, settings: Settings) -> None:
    """Our own database is brought to head; an operator's is only ever migrated on request."""
    if current_revision(settings.database_url) == head_revision():
        return
    if not loaded.database_url:
        upgrade(settings.database_url)
    else:
        raise CommandError("the database is not at the newest schema; run: paperboy migrate")


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


def table(title: str, *columns: str) -> Table:
    """A table in the house's look: a title, hairlines, numbers to the right (`>name`)."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column[0] == ">" else "left")
    return made


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Any]:
    """A bar on stderr where a person watches; yields `set_done(done, total)`."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(label, total=total)

        def set_done(done: int, whole: int | None = None) -> None:
            bar.update(task, completed=done, total=whole if whole is not None else total)

        yield set_done


def read_date(text: str | None, option: str) -> date | None:
    """A date option. Raises `CommandError` (exit 2) with the form that is wanted."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option} wants a date like 2026-09-18, not {text!r}", 2) from error
