"""Commands run by tests, and their results."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

FRIDAY = date(2026, 9, 18)
# The clock of a command, early on that Friday, and ten minutes on.
NOW = ("--now", "2026-09-18T05:00Z")
LATER = ("--now", "2026-09-18T05:10Z")


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value on stdout; fails where there is other output."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on stderr, without the program's name."""
        assert self.err.startswith("paperboy: "), self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("paperboy: ").rstrip("\n")


Paperboy = Callable[..., Result]
