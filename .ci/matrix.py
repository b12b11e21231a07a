"""Run the service's tests on several versions of what it stands on: `make test-matrix`.

Not the full product: every value is in a combination, with servers of its own (servers.py), an
environment for its Python, and the tests of `make test-service`. The log of each is in
build/matrix/. A Python is taken where it is installed (PATH, pyenv), or got by `uv` where that is.
Exit status 1 where a test failed, 2 where a combination could not be run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What differs most from one version to the next: SQL and migrations, text search, vectors, broker.
QUICK = "tests/platform tests/topics tests/similarity tests/deliveries tests/workers"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@dataclass(frozen=True, slots=True)
class Combination:
    """Versions that are tested together; without a `broker`, the queue is the broker."""

    python: str
    postgres: str
    queue: str
    broker: str = ""

    @property
    def servers(self) -> str:
        parts = [f"PostgreSQL {self.postgres}", self.queue, self.broker]
        return ", ".join(part for part in parts if part)

    @property
    def name(self) -> str:
        return f"Python {self.python}, {self.servers}"


COMBINATIONS = (
    Combination("3.11", "16", "Redis 7"),
    Combination("3.12", "18", "Valkey 9"),
    Combination("3.13", "18", "Redis 7", "RabbitMQ 3.10"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a combination; with a `missing` thing it was not run."""

    combination: Combination
    passed: int = 0
    failed: int = 0
    minutes: float = 0.0
    missing: str = ""
    is_good: bool = False


def main() -> int:
    options = _parse_options()
    chosen = [one for one in COMBINATIONS if options.only in one.name]
    if not chosen:
        print(f"no combination has {options.only!r} in its name", file=sys.stderr)
        return 2
    outcomes = [_try(one, options, f"{n}/{len(chosen)}") for n, one in enumerate(chosen, 1)]
    print(f"\n{'combination':<60} passed  failed  minutes")
    for outcome in outcomes:
        figures = f"{outcome.passed:6}  {outcome.failed:6}  {outcome.minutes:7.1f}"
        end = "" if outcome.is_good else "  FAILED"
        row = f"not run: {outcome.missing}" if outcome.missing else figures + end
        print(f"{outcome.combination.name:<60} {row}")
    if any(not outcome.is_good and not outcome.missing for outcome in outcomes):
        return 1
    ran = [outcome for outcome in outcomes if not outcome.missing]
    return 0 if ran and (options.allow_missing or ran == outcomes) else 2


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the service's tests on several versions.")
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK}")
    parser.add_argument("--tests", default="", help="only these files and folders")
    parser.add_argument("--only", default="", help='combinations with this in it: "PostgreSQL 16"')
    parser.add_argument(
        "--allow-missing", action="store_true", help="what is not there is no fault"
    )
    parser.add_argument("--jobs", default="2", help="test processes")
    parser.add_argument("--logs", default=ROOT / "build/matrix", type=Path, help="folder of logs")
    options = parser.parse_args()
    options.tests = options.tests or (QUICK if options.quick else "")
    return options


def _try(combination: Combination, options: argparse.Namespace, number: str) -> Outcome:
    print(f"{number} {combination.name}: ", end="", flush=True)
    python = find_python(combination.python)
    missing = find_missing(combination, python)
    if missing:
        print(f"not run, because there is {missing}", flush=True)
        return Outcome(combination, missing=missing)
    log = options.logs / re.sub(r"[^A-Za-z0-9.]+", "-", f"{combination.name}.log")
    print(f"running, see {log} … ", end="", flush=True)
    outcome = _run(combination, str(python), options, log)
    print(f"{outcome.passed} passed, {outcome.failed} failed", flush=True)
    if not outcome.is_good:
        print(_explain(log), flush=True)
    return outcome


def find_missing(combination: Combination, python: Path | None) -> str:
    """Return what the combination needs and this machine has not, with what to do; or nothing."""
    if python is None:
        return f"no Python {combination.python}: install it, or `uv`, which gets it"
    if combination.queue.startswith("Redis") and not shutil.which("redis-server"):
        return "no redis-server: try `apt-get install redis-server`"
    if combination.broker and not RABBITMQ.exists():
        return "no RabbitMQ: try `apt-get install rabbitmq-server`"
    return ""


def find_python(version: str) -> Path | None:
    """Return a working Python of that version; None where there is none and none can be got."""
    return next((path for path in _candidates(version) if _works(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(Path, filter(None, [sys.executable, shutil.which(f"python{version}")]))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    if uv := shutil.which("uv"):
        subprocess.run([uv, "python", "install", "--quiet", version], check=False, timeout=600)
        found = subprocess.run([uv, "python", "find", version], check=False, capture_output=True)
        yield from map(Path, found.stdout.decode().split("\n")[:1])


def _works(python: Path, version: str) -> bool:
    program = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", program], check=False, capture_output=True)
    except OSError:
        return False
    return done.stdout.decode().strip() == version


def _run(combination: Combination, python: str, options: argparse.Namespace, log: Path) -> Outcome:
    # Our own environment has its Python; each other one gets an environment of its own.
    is_ours = Path(python) == Path(sys.executable)
    venv = Path(sys.prefix) if is_ours else Path(sys.prefix) / f"python{combination.python}"
    command = [sys.executable, str(ROOT / ".ci/servers.py"), "--postgres", combination.postgres]
    command += ["--queue", combination.queue.split()[0].lower(), "make", "test-service"]
    command += [f"VENV={venv}", f"PYTHON={python}", f"JOBS={options.jobs}", "ARGS="]
    command += [f"SERVICE_TESTS={options.tests}"] if options.tests else []
    # Variables of the make that called us would change the make that we call.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    environ = {**inherited, "CI": "true", "PAPERBOY_TEST_SERVERS": combination.servers}
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("wb") as out:
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT
        )
    return read_outcome(combination, done.returncode, log, (time.monotonic() - began) / 60)


def read_outcome(combination: Combination, status: int, log: Path, minutes: float) -> Outcome:
    """Return the figures of the log's end; good only where the tests ran on the combination."""
    text = log.read_text(errors="replace")
    last = "".join(re.findall(r"^=* ?(\d+ (?:passed|failed).*) in .*$", text, re.MULTILINE)[-1:])
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", last)}
    ran = "".join(re.findall(r"^ran on .*$", text, re.MULTILINE)[-1:])
    versions = [*combination.servers.split(", "), f"Python {combination.python}"]
    is_there = all(re.search(rf"\b{re.escape(one)}(?!\d)", ran) for one in versions)
    passed, failed = counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)
    is_good = status == 0 and is_there and passed > 0
    return Outcome(combination, passed, failed, minutes, is_good=is_good)


def _explain(log: Path) -> str:
    """Return the lines of a log that say what failed, or else its end."""
    lines = log.read_text(errors="replace").splitlines()
    faults = [line for line in lines if line.startswith(("FAILED", "ERROR", "ran on"))]
    return "\n".join(f"    {line}" for line in (faults or lines)[-20:])


if __name__ == "__main__":
    sys.exit(main())
