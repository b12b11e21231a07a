"""The report file of an import: each row that was not taken, with its line and the reason."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from service.subscribers.directory import disarm
from service.subscribers.import_file import ImportFault, RejectedRow


class ReportFile:
    """A CSV file that is created with its first row, readable only by its owner.

    It replaces the report of the previous run, whose lines may be wrong by now. Raises OSError, and
    `ImportFault` where the path is that of the import file or of no regular file.
    """

    def __init__(self, path: Path, import_file: Path) -> None:
        if path.exists() and not path.is_file():
            raise ImportFault(
                f"the report {path} must be a regular file: give --report another name"
            )
        if path.exists() and path.samefile(import_file):
            raise ImportFault("the report would replace this file: give --report another name")
        self.path = path
        self.row_count = 0
        self._file: IO[str] | None = None

    def write(self, rows: Iterable[RejectedRow]) -> None:
        """Append rows; after a kill the file has those of all finished transactions."""
        rows = list(rows)
        if not rows:
            return
        if self._file is None:
            # A new file, since an old one keeps its mode, and a link would lead elsewhere.
            self.path.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            # Excel reads UTF-8 only behind a byte order mark.
            self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
            csv.writer(self._file).writerow(("line", "email", "reason"))
        csv.writer(self._file).writerows(
            (row.line, *disarm((row.email, row.reason))) for row in rows
        )
        self._file.flush()
        self.row_count += len(rows)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
