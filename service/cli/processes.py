"""Web, workers and beat as child processes on one machine, with one set of settings."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx2

from service.cli.child_locks import end_left_behind, hold_data_dir, make_child_lock
from service.cli.context import CommandError
from service.platform.drop_root import drop_root
from service.platform.embedded.paths import choose_account, give_files
from service.platform.queue import WORKER_QUEUES
from service.platform.settings.env_file import ENV_FILE, environ_with_file
from service.platform.settings.load import SECRETS
from service.platform.settings.settings import Settings

PROGRAM = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
# The longest that the stop waits for a fetch; only what is being sent is worth a longer wait.
DEFAULT_STOP_SECONDS = 60.0
_SENDING = frozenset({"worker-send", "worker-urgent"})

# A child that ends by itself so soon after its first start has a wrong setting, which no restart mends.
FIRST_SECONDS = 30.0
# Seconds until a child that died is started again: 1, 2, 4 … and 1 again after it stayed up.
LONGEST_GAP_SECONDS = 60.0
STEADY_SECONDS = 120.0

# Processes of a worker that has not two: embedding leaves a core to what people wait for.
_COUNTS = {"worker-learn": "1"}
COMMANDS = {
    "web": ["-m", "service.web.serve"],
    **{name: ["-m", "workers", "worker", "-n", f"{name}@%h", "-Q", queues, "-c", _COUNTS.get(name, "2"),
              "--without-gossip", "--without-mingle"] for name, queues in WORKER_QUEUES.items()},
    "beat": ["-m", "workers", "beat"],
}  # fmt: skip


@contextmanager
def ending_at_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does: by a KeyboardInterrupt.

    Their default would end this process and leave its children behind. Signals that are ignored
    (`nohup`) stay ignored.
    """
    previous = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    for number in previous:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C, and what ends a block as it does, until this block is over.

    A child that is forked but not yet noted would otherwise be left behind.
    """
    kept: list[int] = []
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.default_int_handler
    ]
    for number in numbers:
        signal.signal(number, lambda number, _frame: kept.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
    if kept:
        raise KeyboardInterrupt


def await_site(url: str, check: Callable[[], None], seconds: float = READY_SECONDS) -> bool:
    """Return whether a site answers within so many seconds; `check` raises if it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check()
        try:
            if httpx2.get(f"{url}/readyz", timeout=2).is_success:
                return True
        except httpx2.HTTPError:
            pass  # Not listening yet.
        time.sleep(0.1)
    return False


@dataclass(slots=True)
class _Child:
    """A child process, and how often it died soon after its start, one time after the other.

    `starts_at` is when it is started again, by `time.monotonic`; None while it runs.
    """

    more: tuple[str, ...]
    process: subprocess.Popen[bytes]
    started_at: float
    is_first: bool = True
    quick_deaths: int = 0
    starts_at: float | None = None

    def note_death(self, now: float) -> float:
        """Plan the next start; return in how many seconds that is."""
        self.quick_deaths = 0 if now - self.started_at >= STEADY_SECONDS else self.quick_deaths
        gap = find_gap(self.quick_deaths)
        self.quick_deaths += 1
        self.starts_at = now + gap
        return gap


def find_gap(quick_deaths: int) -> float:
    """Return the seconds until a child is started again after so many quick deaths in a row."""
    return min(LONGEST_GAP_SECONDS, 2.0 ** min(quick_deaths, 10))


class Stack:
    """Child processes that share settings; a context manager that ends the ones it started."""

    def __init__(
        self,
        settings: Settings,
        changes: Mapping[str, str],
        stop_seconds: float = STOP_SECONDS,
        commands: Mapping[str, Sequence[str]] = COMMANDS,
        environ: Mapping[str, str] | None = None,
        *,
        may_stay_root: bool = False,
    ) -> None:
        """Use `environ` in place of this process's environment and settings file.

        Started by root, the children run as another account, which the data directory is given to.
        With `may_stay_root` they run as root where that account cannot be given what they need.
        """
        self._commands = commands
        self._environ = child_environment(settings, changes, environ)
        self._stop_seconds = stop_seconds
        self._data_dir = settings.data_dir
        self._log_dir = settings.data_dir / "logs"
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._account = choose_account(settings.data_dir / "postgres")
        self._may_stay_root = may_stay_root
        if self._account:
            give_files(settings.data_dir, self._account)
            self._environ["HOME"] = str(settings.data_dir)
        self._children: dict[str, _Child] = {}
        self._held = ExitStack()

    def start(self, name: str, *more: str) -> None:
        with _uninterrupted():
            self._children[name] = _Child(more, self._spawn(name, more), time.monotonic())

    def _spawn(self, name: str, more: Sequence[str]) -> subprocess.Popen[bytes]:
        path = self._log_dir / f"{name}.log"
        # For what comes before the child has opened its log, and goes past it.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        lock = make_child_lock(self._data_dir, name)
        command = [sys.executable, *self._commands[name], *more]
        with os.fdopen(os.open(path, flags, 0o640), "ab") as log:
            if self._account:
                os.fchown(log.fileno(), self._account.uid, self._account.gid)
                needed = (PROGRAM, Path(sys.prefix), Path(sys.base_prefix), self._data_dir)
                account = (self._account.uid, self._account.gid)
                command = drop_root(command, *account, needed, may_stay=self._may_stay_root)
            process = subprocess.Popen(
                command,
                env={**self._environ, "PAPERBOY_LOG_FILE": str(path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.descriptor],
                # So that Ctrl-C reaches only this process, which then ends its children in order.
                start_new_session=True,
            )
        lock.note(process.pid)
        return process

    def start_workers(self) -> None:
        for name in WORKER_QUEUES:
            self.start(name)

    def pids(self) -> dict[str, int]:
        """Child -> process id."""
        return {name: child.process.pid for name, child in self._children.items()}

    def wait_for_web(self, url: str, seconds: float = READY_SECONDS) -> None:
        """Return when the site answers. Raises `CommandError` with the path of the log."""
        if not await_site(url, self.check, seconds):
            raise CommandError(f"the site did not answer within {seconds:.0f} s{self._see('web')}")

    def check(self) -> None:
        """Raise `CommandError` if a child has ended by itself."""
        for name, child in self._children.items():
            if child.process.poll() is not None:
                raise CommandError(f"{name} ended by itself{self._see(name)}")

    def stay_up(self, announce: Callable[[], None] = lambda: None) -> None:
        """Announce that all is up, start again what dies, and return at Ctrl-C, the ordinary end.

        Raises `CommandError` if a child ends by itself soon after its first start.
        """
        try:
            announce()
            while True:
                self._revive(time.monotonic())
                time.sleep(0.5)
        except KeyboardInterrupt:
            return

    def _revive(self, now: float) -> None:
        for name, child in self._children.items():
            if child.starts_at is not None:
                if now >= child.starts_at:
                    with _uninterrupted():
                        child.process, child.started_at = self._spawn(name, child.more), now
                    child.starts_at, child.is_first = None, False
                continue
            status = child.process.poll()
            if status is None:
                continue
            how = "ended by itself" if status >= 0 else f"was ended by signal {-status}"
            message = f"{name} {how}{self._see(name)}"
            if status >= 0 and child.is_first and now - child.started_at < FIRST_SECONDS:
                raise CommandError(message)
            _announce(f"{message}; it starts again in {child.note_death(now):.0f} s")

    def _see(self, name: str) -> str:
        path = self._log_dir / f"{name}.log"
        last_line = _plain_text(path.read_text(errors="replace").strip().rpartition("\n")[2])[:300]
        return f": {last_line} (see {path})" if last_line else f" (see {path})"

    def __enter__(self) -> Self:
        """Hold the data directory, and end what a killed predecessor left behind there."""
        with ExitStack() as held:
            held.enter_context(hold_data_dir(self._data_dir))
            end_left_behind(self._data_dir, self._seconds_to_stop, _announce)
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_children()
        except KeyboardInterrupt:
            pass  # A second Ctrl-C: kill the children at once.
        finally:
            self._kill_children()
            self._held.close()

    def _seconds_to_stop(self, name: str) -> float:
        seconds = self._stop_seconds
        return seconds if name in _SENDING else min(seconds, DEFAULT_STOP_SECONDS)

    def _end_children(self) -> None:
        for child in self._children.values():
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        # Those that send last: the others are killed in time, however long these take.
        for name, child in sorted(self._children.items(), key=lambda item: item[0] in _SENDING):
            try:
                child.process.wait(max(0.0, began + self._seconds_to_stop(name) - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(child.process)
        # The pool of a child that died: it finishes its tasks while the next one works.
        end_left_behind(self._data_dir, self._seconds_to_stop)

    def _kill_children(self) -> None:
        for child in self._children.values():
            _kill(child.process)
        end_left_behind(self._data_dir, lambda _: 0.0)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child's whole process group, which includes a worker's pool, unless it has ended."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _announce(line: str) -> None:
    print(f"paperboy: {line}", file=sys.stderr, flush=True)


def _plain_text(line: str) -> str:
    """Return what a log line says to a person: its event, and the error of its traceback."""
    try:
        event = json.loads(line)
        return ": ".join([event["event"], *event.get("exception", "").splitlines()[-1:]])
    except (ValueError, TypeError, KeyError):
        return line


def child_environment(
    settings: Settings, changes: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return this process's environment, with the URLs of the servers and the given changes.

    It holds the settings of the settings file and of files with secrets, too, so that children need not
    be able to read these.
    """
    environ = dict(environ_with_file() if environ is None else environ)
    environ[ENV_FILE] = os.devnull
    for name in SECRETS:
        value = getattr(settings, name)
        if environ.pop(f"PAPERBOY_{name.upper()}_FILE", None):
            text = value if isinstance(value, str) else " ".join(value)
            environ[f"PAPERBOY_{name.upper()}"] = text
    environ["PAPERBOY_DATABASE_URL"] = settings.database_url
    environ["PAPERBOY_REDIS_URL"] = settings.redis_url
    environ["PAPERBOY_DATA_DIR"] = str(settings.data_dir)
    return environ | dict(changes)


def listening_port(settings: Settings) -> int:
    """Return the port to serve on: that of a loopback BASE_URL, else 8000 for a reverse proxy."""
    parts = urlsplit(settings.base_url)
    is_local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return (parts.port or 80) if is_local else 8000


def check_place(host: str, port: int) -> None:
    """Raise `CommandError` with what to do where the site cannot listen on this address."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} is taken; choose another one with --port"
        elif error.errno == errno.EACCES:
            message = f"port {port} is only for root; choose one over 1023 with --port"
        else:
            message = f"--host {host} is no address of this machine; leave it out, or use 0.0.0.0"
        raise CommandError(message) from error


def is_free(port: int) -> bool:
    try:
        check_place(LOOPBACK, port)
    except CommandError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def beat_schedule(data_dir: Path) -> Sequence[str]:
    return ("--schedule", str(data_dir / "celerybeat-schedule"))
