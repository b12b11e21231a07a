"""`bench/year.py` reports every figure of a year, and fails where the year made something worse."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.rules import ROOT

sys.path.append(str(ROOT / "bench"))

from scales.model import Installation, database_bytes, kept_days  # the path must come first
from year import find_faults

KEYS = {
    "database_bytes", "model_bytes", "ratio_model", "drop_month_s", "dropped_rows", "status_s", "status_day_2_s",
    "status_ratio", "front_s", "front_day_2_s", "front_ratio", "ledger_s", "ledger_day_2_s", "ledger_ratio",
    "bytes_by_table", "compose_statements", "send_statements", "vacuum_us_a_row",
    "subscribers", "days", "cores", "cpu", "python",
}  # fmt: skip
GOOD = {
    "ratio_model": 1.1,
    "drop_month_s": 0.02,
    "status_ratio": 1.0,
    "front_ratio": 1.2,
    "ledger_ratio": 0.9,
}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_small_year_ends_with_every_figure(real_data: Path) -> None:
    size = ["--subscribers=100", "--days=40", "--papers=12"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench/year.py"), *size],
        env=os.environ | {"PAPERBOY_REAL_DATA": str(real_data)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    # So small a year is no measurement: status 1 says that a ratio is off.
    assert done.returncode in {0, 1}, done.stderr
    assert done.stdout, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() >= KEYS
    assert (figures["subscribers"], figures["days"]) == (100, 40)
    # Months were written whole: the first one has a digest a day for each subscriber.
    assert figures["dropped_rows"] % 100 == 0
    assert figures["dropped_rows"] > 0
    assert figures["ledger_ratio"] < 4


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ratio_model": 1.16}, "1.16 of the model"),
        ({"ratio_model": 0.84}, "0.84 of the model"),
        ({"drop_month_s": 1.0}, "dropping a month took 1.0 s"),
        ({"status_ratio": 1.31}, "status_ratio is 1.31"),
        ({"front_ratio": 1.31}, "front_ratio is 1.31"),
        ({"ledger_ratio": 15.8}, "ledger_ratio is 15.8"),
    ],
)
def test_a_year_that_made_something_worse_is_no_success(
    changes: dict[str, float], fault: str
) -> None:
    assert find_faults(GOOD) == []
    (found,) = find_faults(GOOD | changes)
    assert fault in found


def test_a_month_is_kept_until_all_its_days_are_over() -> None:
    assert kept_days(1_000, 400, date(2026, 11, 30)) == 426  # since 1 October 2025
    assert kept_days(1_000, 30, date(2026, 11, 29)) == 60  # October and November
    assert kept_days(1_000, 30, date(2026, 11, 30)) == 30
    assert kept_days(10, 400, date(2026, 11, 30)) == 10


def test_the_models_bytes_stop_to_grow_where_rows_are_deleted() -> None:
    until = date(2026, 11, 30)
    two, three = (database_bytes(Installation(20_000, 300, 365 * n), until) for n in (2, 3))
    growing = {name for name in two if two[name] != three[name]}
    assert growing == {"papers"}
