"""How commands print: text for people or one JSON value, tables and progress bars."""

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import service.operations.store.tables  # noqa: F401  # every table is known from here on


@dataclass(frozen=True, slots=True)
class Output:
    """How a command speaks: one JSON value, or lines for people."""

    is_json: bool

    def say(self, value: object, *lines: str) -> None:
        """Print the value as JSON, or the lines for people."""
        told = [to_json(value)] if self.is_json else map(printable, lines)
        print(*told, sep="\n", flush=True)


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
