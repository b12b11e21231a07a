"""Prepare, start, probe and stop one embedded server. Standard library only: the supervisor runs
this without site-packages, to stay small.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from service.platform.embedded.locks import is_held, open_lock, try_lock, wait_lock

# The database, and its owner, as whom we connect.
DATABASE = "paperboy"
SUPERUSER = "postgres"
POSTGRES_MAJOR = "18"
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Of a container, in bytes (cgroup v2).
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")

POSTGRES_OPTIONS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "work_mem=16MB",
    "maintenance_work_mem=128MB",
    "random_page_cost=1.1",
    # A search reads hundreds of pages, nearly all from the system's cache. Processes that read for it, the
    # default, would take the processors of a small machine from it.
    "io_method=sync",
    # One machine without a standby: the smallest write-ahead log that still survives a crash.
    "wal_level=minimal",
    "max_wal_senders=0",
    # A claim over a large edition writes two megabytes of WAL, which should not wait for the disk.
    "wal_buffers=16MB",
    # A delivery has four versions in one morning: the next ones use the space of those that are dead.
    "autovacuum_naptime=10s",
    # JIT compilation costs more time than our short queries take.
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
)
# In single-user mode, before the server listens, the superuser makes what only it may make. Databases are
# copies of template1, so that all have the extension.
_MAKE_DATABASE = f"""CREATE EXTENSION vector;
CREATE ROLE {DATABASE} LOGIN CREATEDB;
CREATE DATABASE {DATABASE} OWNER {DATABASE};
"""
# pg_hba.conf. Only the server's account enters the directory of the socket, and as a superuser nobody
# comes in at all. Tests, whose server is not durable, also play an operator's server.
_ACCESS = f"local all {DATABASE} trust\n"
_ACCESS_OF_TESTS = "local all all trust\n"
_POSTGRES_UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedError(Exception):
    """An embedded server cannot run here; `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server of one data directory.

    `binary` is its program; `home` holds its files, `sockets` its socket, `locks` is the prefix
    of its lock files. `uid` and `gid` are its account where we run as root, else None.
    """

    kind: str
    binary: Path
    home: Path
    sockets: Path
    locks: Path
    uid: int | None = None
    gid: int | None = None
    durable: bool = True

    def lock_path(self, name: str) -> Path:
        return self.locks.with_name(f"{self.locks.name}.{name}")

    @property
    def socket(self) -> Path:
        return self.sockets / (POSTGRES_SOCKET if self.kind == "postgres" else VALKEY_SOCKET)

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)


def parse_server(text: str) -> Server:
    """Parse the output of `Server.to_json`."""
    values = json.loads(text)
    paths = {name: Path(values[name]) for name in ("binary", "home", "sockets", "locks")}
    return Server(**{**values, **paths})


def prepare_server(server: Server) -> None:
    """Create the database cluster if there is none; a half-created one is deleted first."""
    if server.kind != "postgres":
        return
    version = server.home / "data" / "PG_VERSION"
    if not version.exists():
        _make_cluster(server)
    elif version.read_text().strip() != POSTGRES_MAJOR:
        raise EmbeddedError(
            f"{server.home / 'data'} was made by PostgreSQL {version.read_text().strip()}, this is "
            f"{POSTGRES_MAJOR}: dump it with the old version, or set PAPERBOY_DATABASE_URL"
        )


def _make_cluster(server: Server) -> None:
    # Created under another name and renamed, so that a kill leaves no half-created cluster.
    fresh = server.home / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    initdb = [
        str(server.binary.with_name("initdb")),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        "--auth-local=reject",
        "--auth-host=reject",
        "--encoding=UTF8",
        "--locale=C",
        # Unicode case rules without the operating system's locales (PostgreSQL 17 and later).
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *([] if server.durable else ["--no-sync"]),
    ]
    _run(server, initdb)
    single = [str(server.binary), "--single", "-D", str(fresh)]
    unsafe = [part for option in _POSTGRES_UNSAFE for part in ("-c", option)]
    _run(server, [*single, *([] if server.durable else unsafe), "template1"], _MAKE_DATABASE)
    access = _ACCESS if server.durable else _ACCESS_OF_TESTS
    # As the server's account, which could put a symlink there for root to follow.
    _run(server, ["tee", str(fresh / "pg_hba.conf")], access)
    fresh.rename(server.home / "data")


def _run(server: Server, command: list[str], text: str = "") -> None:
    done = subprocess.run(
        command,
        check=False,
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=server.uid,
        group=server.gid,
        extra_groups=None if server.uid is None else [],
        cwd=server.home,
        env=_environment(),
        umask=0o077,
    )
    if done.returncode:
        raise EmbeddedError(f"{command[0]} failed: {_last_lines(done.stdout)}")


def start_server(server: Server) -> subprocess.Popen[bytes] | None:
    """Start the server and return its process when it answers; None if it ran already.

    The server inherits the `server` lock, so the lock shows whether any process of it is alive.
    """
    lock = open_lock(server.lock_path("server"))
    try:
        if not _claim_server(server, lock):
            return None
        process = _spawn(server, lock)
        os.truncate(lock, 0)
        os.pwrite(lock, str(process.pid).encode(), 0)
    finally:
        os.close(lock)
    _await_ready(server, process)
    return process


def _claim_server(server: Server, lock: int) -> bool:
    """Take the `server` lock; False if a server left behind by a killed supervisor still answers."""
    if try_lock(lock):
        return True
    if is_ready(server):
        return False
    # The server is stopping or starting, or it was killed and its backends end within moments.
    if not wait_lock(lock, _STOP_SECONDS):
        if is_ready(server):
            return False
        raise EmbeddedError(f"a left-over {server.kind} process holds {server.home}: end it")
    return True


def _spawn(server: Server, lock: int) -> subprocess.Popen[bytes]:
    # We hold the lock, so these files are stale. Files with a pid must be deleted: after a reboot
    # the pid may belong to another process, and PostgreSQL would refuse to start.
    pid_files = (server.home / "data" / "postmaster.pid", Path(f"{server.socket}.lock"))
    for stale in (server.socket, *pid_files):
        stale.unlink(missing_ok=True)
    # Beside the locks, not in the home: its account could put a symlink there for root to follow.
    log = server.lock_path("log")
    if log.exists():
        log.replace(server.lock_path("log.old"))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(log, flags, 0o640), "wb") as output:
        return subprocess.Popen(
            _command(server),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=server.uid,
            group=server.gid,
            extra_groups=None if server.uid is None else [],
            cwd=server.home,
            env=_environment(),
            umask=0o077,
            pass_fds=(lock,),
            start_new_session=True,
        )


def _command(server: Server) -> list[str]:
    if server.kind == "valkey":
        options = {
            "port": "0",
            "unixsocket": str(server.socket),
            "unixsocketperm": "700",
            # The queue carries only wake-up tasks, so nothing in it needs to be on disk.
            "save": "",
            "appendonly": "no",
            "databases": "64",
            "dir": str(server.home),
        }
        return [str(server.binary), *(p for k, v in options.items() for p in (f"--{k}", v))]
    buffers = f"shared_buffers={buffers_mib(memory_mib())}MB"
    settings = [*POSTGRES_OPTIONS, buffers, f"unix_socket_directories={server.sockets}"]
    settings += [] if server.durable else _POSTGRES_UNSAFE
    data = str(server.home / "data")
    return [str(server.binary), "-D", data, *(p for s in settings for p in ("-c", s))]


def memory_mib(limit: Path = _MEMORY_LIMIT) -> int:
    """Return how much memory the machine has, or its container may take where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit.read_text())) >> 20
    except (OSError, ValueError):  # no such file, or "max"
        return machine >> 20


def buffers_mib(memory: int) -> int:
    """Return how many of `memory` MiB PostgreSQL may keep pages in; it takes what it needs of that.

    To read the pages of a large archive from the system's cache takes twice as long.
    """
    return min(max(memory // 8, 128), 512)


def _environment() -> dict[str, str]:
    # Our environment is not passed on: it may hold secrets, and libpq reads variables.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _await_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(server):
        if process.poll() is not None or time.monotonic() > deadline:
            log = server.lock_path("log").read_text(errors="replace")
            raise EmbeddedError(f"{server.kind} does not start: {_last_lines(log)}")
        time.sleep(0.01)


def is_ready(server: Server) -> bool:
    """Return whether the server runs and accepts connections."""
    if not is_held(server.lock_path("server")):
        return False
    try:
        return _accepts(server)
    except OSError:
        return False


def _accepts(server: Server) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        client.connect(str(server.socket))
        if server.kind == "valkey":
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    # The eighth line of postmaster.pid is the server's status (PostgreSQL's pidfile.h); the socket
    # alone accepts connections before crash recovery is done.
    lines = (server.home / "data" / "postmaster.pid").read_text().splitlines()
    return len(lines) >= 8 and lines[7].strip() == "ready"


def stop_server(server: Server) -> None:
    """Stop the server, quickly but cleanly, and remove its sockets."""
    path = server.lock_path("server")
    # PostgreSQL: SIGINT ends the sessions; SIGQUIT ends at once, with crash recovery at next start.
    gentle, firm = (
        (signal.SIGINT, signal.SIGQUIT)
        if server.kind == "postgres"
        else (signal.SIGTERM, signal.SIGKILL)
    )
    lock = open_lock(path)
    try:
        for sign in (gentle, firm):
            if not try_lock(lock):
                _signal(path, sign)
                wait_lock(lock, _STOP_SECONDS)
    finally:
        os.close(lock)
    if server.sockets != server.home:
        shutil.rmtree(server.sockets, ignore_errors=True)


def _signal(path: Path, sign: signal.Signals) -> None:
    try:
        os.kill(int(path.read_text()), sign)
    except (ProcessLookupError, ValueError):
        pass  # It has ended already or never started fully; the lock shows when all is over.


def _last_lines(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-3:]) or "no output"
