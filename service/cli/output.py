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
    import service.operations.store.tables  # noqa: F401  # registers every table


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a command: one JSON value, or lines for people."""

    is_json: bool

    def print(self, value: object, *lines: str) -> None:
        """Print the value as JSON, or the lines for people."""
        texts = [to_json(value)] if self.is_json else map(printable, lines)
        print(*texts, sep="\n", flush=True)


def to_json(value: object) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(to_plain(value), ensure_ascii=False)


def to_plain(value: object) -> Any:
    """Return a value in JSON types: dataclasses as objects, dates as ISO text, enums as values."""
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
    """Return text without control characters, since text of a relay may hold terminal escapes."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) != "Cc" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def counted(number: int, noun: str, ending: str = "s") -> str:
    """Return `1 paper`, `2 papers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{ending}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return columns under their names, aligned to the right where the name begins with `>`.

    The text is as wide as necessary; a terminal wraps it, and nothing is cut off.
    """
    names = [column.lstrip(">") for column in columns]
    cells = [names, *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    formats = [
        f"{{:>{width}}}" if column.startswith(">") else f"{{:{width}}}"
        for column, width in zip(columns, widths, strict=True)
    ]
    return "\n".join("  ".join(formats).format(*row).rstrip() for row in cells)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[..., None]]:
    """Show a bar if stderr is a terminal; yield `set_done(done, whole)`."""
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
