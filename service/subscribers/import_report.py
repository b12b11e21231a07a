"""The report file of an import: each row that was not taken, with its line and the reason."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from service.subscribers.import_file import RejectedRow


class ReportFile:
    """A CSV file that is created with its first row, readable only by its owner.

    It replaces the report of the previous run, whose lines may be wrong by now. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.row_count = 0
        self._file: IO[str] | None = None

    def write(self, rows: Iterable[RejectedRow]) -> None:
        """Append rows; after a kill the file has those of all finished transactions."""
        rows = list(rows)
        if not rows:
            return
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(self.path, flags, 0o600)
            # Excel reads UTF-8 only behind a byte order mark.
            self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
            csv.writer(self._file).writerow(("line", "email", "reason"))
        csv.writer(self._file).writerows((row.line, row.email, row.reason) for row in rows)
        self._file.flush()
        self.row_count += len(rows)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
