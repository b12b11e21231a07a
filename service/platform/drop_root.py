"""Give up root before a program starts: run it as an account of its own, which sees what it needs.

`drop_root` wraps a command; the command runs this file as root, by its path and with the standard
library only. Directories that the account cannot enter, such as /root, are replaced in the program's own
mount namespace by empty ones that hold only the needed directories. No mode of a directory is changed.
"""

import ctypes
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# From sched.h, sys/mount.h and sys/prctl.h.
_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_TO_ALL = 0o755


def drop_root(
    command: Sequence[str], uid: int, gid: int, needed: Iterable[Path], *, may_stay: bool
) -> list[str]:
    """Return a command that runs `command` as this account, with the same process id.

    It ends with one line on stderr where the account cannot enter the needed directories and the
    machine admits no mount namespace; with `may_stay` it goes on as root instead.
    """
    paths = [str(path.resolve()) for path in needed]
    order = {"uid": uid, "gid": gid, "needed": paths, "may_stay": may_stay}
    return [sys.executable, "-I", "-S", __file__, json.dumps(order), *command]


def main() -> None:
    order, command, place = json.loads(sys.argv[1]), sys.argv[2:], Path.cwd()
    uid, gid = order["uid"], order["gid"]
    os.setgroups([])
    needed, closed = _find_closed(order["needed"], uid, gid)
    if closed:
        try:
            _show_only(needed, closed)
        except OSError as error:
            if order["may_stay"]:
                os.execv(command[0], command)  # noqa: S606  # no shell is wanted
            sys.exit(
                f"started as root, this runs as uid {uid}, which cannot enter {closed[0]}"
                f" ({error.strerror}): move program and data to where every user may pass,"
                " or start it as an ordinary user"
            )
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    # No program with the setuid bit gives it back.
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _go_to(place)
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted


def _find_closed(needed: Iterable[str], uid: int, gid: int) -> tuple[list[str], list[str]]:
    """Return the needed directories, and the outermost ones that the account cannot enter."""
    paths = [inner for path in needed for inner in _openable(Path(path), uid, gid)]
    with_account = {str(path): _outermost_closed(path, uid, gid) for path in paths}
    closed = sorted({found for found in with_account.values() if found})
    return [path for path, found in with_account.items() if found], closed


def _openable(path: Path, uid: int, gid: int) -> Iterator[Path]:
    """Yield a directory, or those in it where its own mode closes it."""
    if _can_enter(path, uid, gid):
        yield path
    else:
        yield from (each for each in path.iterdir() if each.is_dir() and not each.is_symlink())


def _outermost_closed(path: Path, uid: int, gid: int) -> str:
    return next(
        (str(each) for each in reversed(path.parents) if not _can_enter(each, uid, gid)), ""
    )


def _can_enter(path: Path, uid: int, gid: int) -> bool:
    """Ask the kernel as that account, because modes do not show access control lists.

    Only about the directory's own last step: those before it are asked about by themselves.
    """
    handle = os.open(path, os.O_PATH)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return os.access(f"/proc/self/fd/{handle}/.", os.X_OK, effective_ids=True)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.close(handle)


def _show_only(needed: Iterable[str], closed: Iterable[str]) -> None:
    """Hide each closed directory, for this process alone, but for what is needed. Raises OSError."""
    _call("unshare", _CLONE_NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # Opened in the new namespace: a directory of another one cannot be mounted here.
    handles = {path: os.open(path, os.O_PATH) for path in sorted(needed)}
    os.umask(0o022)
    for path in closed:
        _mount("none", path, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={_OPEN_TO_ALL:o}")
    for path, handle in handles.items():
        Path(path).mkdir(mode=_OPEN_TO_ALL, parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
        os.close(handle)


def _mount(what: str | None, where: str, kind: str | None, flags: int, options: str = "") -> None:
    texts = [None if text is None else os.fsencode(text) for text in (what, where, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), os.fsencode(options) if options else None)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _go_to(place: Path) -> None:
    try:
        os.chdir(place)
    except OSError:
        os.chdir("/")


if __name__ == "__main__":
    main()
