"""`make test-matrix`: real runs of small parts, and what it says where something is not there."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = f"Python {sys.version_info.major}.{sys.version_info.minor}"
OTHER = "Python 3.12" if OURS != "Python 3.12" else "Python 3.13"


def run_matrix(folder: Path, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PAPERBOY_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci/matrix.py"), "--logs", str(folder), "--jobs=1", *options],
        check=False,
        capture_output=True,
        text=True,
        env={**inherited, **changes},
        timeout=230,
    )


def row_of(done: subprocess.CompletedProcess[str], name: str) -> str:
    """Return the combination's row of the table at the end."""
    table = done.stdout.partition("\ncombination ")[2]
    (row,) = [line for line in table.splitlines() if line.startswith(name)]
    return row


@pytest.mark.slow
@pytest.mark.program("redis-server")
@pytest.mark.program("rabbitmq-server")
def test_a_combination_runs_on_the_versions_in_its_name(tmp_path: Path) -> None:
    tests = "tests/platform/test_queue.py tests/workers/test_rabbitmq.py"
    done = run_matrix(tmp_path, "--only", OURS, "--tests", tests)
    assert done.returncode == 0, done.stdout + done.stderr
    passed, failed, minutes = row_of(done, OURS)[60:].split()
    assert int(passed) > 15
    assert failed == "0"
    assert float(minutes) > 0
    assert "FAILED" not in done.stdout


@pytest.mark.slow
@pytest.mark.program("redis-server")
@pytest.mark.program("rabbitmq-server")
@pytest.mark.parametrize("tests", ["tests/nowhere", "tests/platform/test_release.py"])
def test_a_combination_that_fails_or_uses_no_server_is_a_failure(
    tmp_path: Path, tests: str
) -> None:
    done = run_matrix(tmp_path, "--only", OURS, "--tests", tests)
    assert done.returncode == 1, done.stdout + done.stderr
    assert row_of(done, OURS).endswith("FAILED")


@pytest.mark.parametrize("options", [[], ["--allow-missing"]])
def test_a_python_that_is_not_there_is_named_and_nothing_run_is_no_success(
    tmp_path: Path, options: list[str]
) -> None:
    done = run_matrix(
        tmp_path, "--only", OTHER, *options, PATH=str(tmp_path), PYENV_ROOT=str(tmp_path)
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert row_of(done, OTHER).endswith(f"not run: no {OTHER}: install it, or `uv`, which gets it")


def test_a_name_of_no_combination_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run_matrix(tmp_path, "--only", "Python 2.7")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "no combination has 'Python 2.7' in its name\n"


def test_every_version_of_the_promise_is_in_a_combination() -> None:
    spec = importlib.util.spec_from_file_location("matrix", ROOT / ".ci/matrix.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = ", ".join(one.name for one in module.COMBINATIONS)
    for version in (
        *("Python 3.11", "Python 3.12", "Python 3.13", "PostgreSQL 16", "PostgreSQL 18"),
        *("Redis 7", "Valkey 9", "RabbitMQ 3.10"),
    ):
        assert version in names
