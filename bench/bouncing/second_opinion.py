"""Sisimai's reasons for the same files, where Debian's libsisimai-perl is installed."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bouncing.score import ABOUT_SUBSCRIBER
from bouncing.truth import VERDICT_OF, Case

_PROGRAM = r"""
use JSON::PP;
while (my $file = <STDIN>) {
    chomp $file;
    my $found = eval { Sisimai->make($file, delivered => 1) } // [];
    print encode_json({file => $file, reasons => [map { "" . $_->reason } @$found]}), "\n";
}
"""


@dataclass
class Opinion:
    """What Sisimai says: how many files it has reasons for, and how many of these are right.

    `blames_subscriber` are files whose reader it blames though another is at fault.
    """

    version: str
    judged: int = 0
    right: int = 0
    blames_subscriber: int = 0


def find_version() -> str | None:
    """Return the version of the Perl library, or None where it is not installed."""
    command = ["perl", "-MSisimai", "-e", "print Sisimai->version"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def ask_sisimai(cases: Sequence[Case], version: str) -> Opinion:
    """Return Sisimai's score on the files whose truth does not come from it."""
    judged = [case for case in cases if case.verdicts and case.origin != "sisimai"]
    opinion = Opinion(version)
    reasons = _reasons([case.path for case in judged])
    for case in judged:
        said = {VERDICT_OF.get(reason, "unknown") for reason in reasons.get(str(case.path), [])}
        if said:
            opinion.judged += 1
            opinion.right += said == case.verdicts
            opinion.blames_subscriber += bool(
                said & ABOUT_SUBSCRIBER and not case.verdicts & ABOUT_SUBSCRIBER
            )
    return opinion


def _reasons(paths: Sequence[Path]) -> dict[str, list[str]]:
    command = ["perl", "-MSisimai", "-e", _PROGRAM]
    names = "".join(f"{path}\n" for path in paths)
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=names)
    rows = map(json.loads, done.stdout.splitlines())
    return {row["file"]: row["reasons"] for row in rows}
