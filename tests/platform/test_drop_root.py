"""A program that root starts runs as an account of its own, and sees what it needs and no more."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from service.platform.drop_root import drop_root

PROGRAM = """
import json, os, pathlib, sys
needed, other = map(pathlib.Path, sys.argv[1:])
try:
    hidden = other.read_text()
except OSError as error:
    hidden = type(error).__name__
print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), needed.read_text(), hidden]))
"""


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A directory that only its owner enters, with one directory that is needed."""
    closed = tmp_path / "closed"
    for name in ("needed", "other"):
        (closed / name).mkdir(parents=True)
        (closed / name / "text").write_text(name)
    closed.chmod(0o700)
    return closed


def run(closed: Path, needed: Path) -> list[object]:
    """Run the program, as another account where the tests run as root."""
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(closed / "needed/text"),
        str(closed / "other/text"),
    ]
    if os.geteuid() == 0:
        account = pwd.getpwnam("daemon")
        paths = [Path(sys.prefix), Path(sys.base_prefix), needed]
        command = drop_root(command, account.pw_uid, account.pw_gid, paths, may_stay=False)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: list[object] = json.loads(done.stdout)
    return answer


def test_a_program_sees_the_needed_part_of_a_closed_directory(closed: Path) -> None:
    uids, gids, groups, needed, hidden = run(closed, closed / "needed")
    assert needed == "needed"
    if os.geteuid() == 0:
        account = pwd.getpwnam("daemon")
        assert uids == [account.pw_uid] * 3
        assert gids == [account.pw_gid] * 3
        assert groups == []
        assert hidden == "FileNotFoundError"
    assert closed.stat().st_mode & 0o777 == 0o700
    assert (closed / "other/text").read_text() == "other"


def test_a_needed_directory_that_is_closed_itself_shows_its_open_parts(closed: Path) -> None:
    (closed / "other").chmod(0o700)
    *_, needed, hidden = run(closed, closed)
    assert needed == "needed"
    assert hidden == ("PermissionError" if os.geteuid() == 0 else "other")


def test_an_account_that_cannot_be_shown_what_it_needs_gets_one_sentence(closed: Path) -> None:
    if os.geteuid() != 0:
        return
    account = pwd.getpwnam("daemon")
    paths = [Path(sys.prefix), Path(sys.base_prefix), closed / "needed"]
    whoami = [sys.executable, "-c", "import os; print(os.geteuid())"]
    for may_stay, code, out in ((False, 1, ""), (True, 0, "0\n")):
        command = drop_root(whoami, account.pw_uid, account.pw_gid, paths, may_stay=may_stay)
        # Without the right to mount, as in most containers.
        limited = ["setpriv", "--bounding-set", "-sys_admin", *command]
        done = subprocess.run(limited, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (code, out), done.stderr
        assert ("which cannot enter" in done.stderr) is not may_stay
        assert done.stderr.count("\n") <= 1
