"""Leases on a shared server: join it, start it if necessary, and leave it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from service.platform.embedded.locks import holding, is_held
from service.platform.embedded.paths import make_data_dir
from service.platform.embedded.servers import EmbeddedError, Server, is_ready

# Longer than a cold start on a slow disk, initdb included.
_WAIT_SECONDS = 90.0
_PAUSE_SECONDS = 0.02


@contextmanager
def share(data_dir: Path, kind: str, place: Callable[[Path], Server]) -> Iterator[Server]:
    """Hold a share in the server that `place` describes for a block. Raises EmbeddedError."""
    with ExitStack() as stack:
        try:
            make_data_dir(data_dir)
            stack.callback(_await_end, data_dir / "run" / kind)
            in_use = data_dir / "run" / f"{kind}.in_use"
            stack.enter_context(holding(in_use, _WAIT_SECONDS, shared=True))
        except OSError as error:
            raise _explain(data_dir, error) from error
        yield _join(data_dir, kind, place)


def _join(data_dir: Path, kind: str, place: Callable[[Path], Server]) -> Server:
    try:
        with holding(data_dir / "run" / f"{kind}.start", _WAIT_SECONDS):
            server = place(data_dir)
            _ensure_running(server)
            return server
    except OSError as error:
        raise _explain(data_dir, error) from error


def _explain(data_dir: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(
        f"the embedded servers cannot use {error.filename or data_dir} ({error.strerror or error}): "
        "run as the user who owns it, or set PAPERBOY_DATA_DIR"
    )


def _ensure_running(server: Server) -> None:
    """Wait for a running supervisor's server, or start a supervisor; we hold the `start` lock."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while is_held(server.lock_path("keeper")):
        if is_ready(server):
            return
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{server.kind} does not answer: see {server.lock_path('log')}")
        time.sleep(_PAUSE_SECONDS)
    _start_supervisor(server)


def _start_supervisor(server: Server) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "service.platform.embedded.supervisor", server.to_json()],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        # The supervisor outlives the caller, whose working directory may be deleted.
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(root)},
    )
    if done.returncode:
        raise EmbeddedError(done.stderr.strip())


def _await_end(locks: Path) -> None:
    """Return when the supervisor has ended, or at once where others still use the server."""
    deadline = time.monotonic() + _WAIT_SECONDS
    in_use = locks.with_name(f"{locks.name}.in_use")
    while is_held(locks.with_name(f"{locks.name}.keeper")) and time.monotonic() < deadline:
        # A shared lock is held by other users; a supervisor that is stopping holds it exclusively.
        if is_held(in_use) and not is_held(in_use, shared=True):
            return
        time.sleep(_PAUSE_SECONDS)
