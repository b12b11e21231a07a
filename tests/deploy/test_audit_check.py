"""The check for known vulnerabilities: what a program like pip-audit answers decides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.rules import ROOT

CLEAN = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {"name": "b", "version": "2", "vulns": [{"id": "CVE-2026-0001"}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "sentence"),
    [
        ([CLEAN], 0, "1 packages audited: no known vulnerability"),
        ([CLEAN, UNKNOWN], 0, "1 packages audited, 1 unknown: no known vulnerability"),
        ([CLEAN, VULNERABLE], 1, "2 packages audited: b 2: CVE-2026-0001"),
        ([UNKNOWN], 0, "not audited: the service knows none of 1 packages"),
        (None, 0, "not audited: the service does not answer"),
    ],
)
def test_a_vulnerability_fails_and_silence_is_said(
    packages: list[object] | None, status: int, sentence: str, tmp_path: Path
) -> None:
    answered = packages is not None
    answer = json.dumps({"dependencies": packages}) if answered else ""
    assert _audit(tmp_path, answer) == (status, f"pins.txt: {sentence}\n")
    # A vulnerability and a clean answer stay what they are; silence is an error where it must answer.
    is_known = answered and packages != [UNKNOWN]
    assert _audit(tmp_path, answer, "--must-answer")[0] == (status if is_known else 1)


def _audit(folder: Path, answer: str, *options: str) -> tuple[int, str]:
    """Return the exit status and stderr where the program answers this."""
    program = folder / "pip-audit"
    complaint = "" if answer else "echo the service does not answer >&2"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n{complaint}\nexit 1\n")
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/audit_check.py"), str(program), *options, "pins.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
