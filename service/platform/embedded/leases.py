"""One process's share in one server: join, starting it if need be, and leave."""

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
    """Share the server that `place` describes for a block. Raises EmbeddedError."""
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
    """Wait for the server of a living keeper, or start a keeper; the `start` lock is ours."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while is_held(server.lock_path("keeper")):
        if is_ready(server):
            return
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{server.kind} does not answer: see {server.lock_path('log')}")
        time.sleep(_PAUSE_SECONDS)
    _start_keeper(server)


def _start_keeper(server: Server) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "service.platform.embedded.supervisor", server.to_json()],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        # A directory that stays: the keeper outlives whoever called us, and what they stand in.
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(root)},
    )
    if done.returncode:
        raise EmbeddedError(done.stderr.strip())


def _await_end(locks: Path) -> None:
    """Return once the keeper is gone, or at once where others still use the server."""
    deadline = time.monotonic() + _WAIT_SECONDS
    in_use = locks.with_name(f"{locks.name}.in_use")
    while is_held(locks.with_name(f"{locks.name}.keeper")) and time.monotonic() < deadline:
        # Held, but not alone: so not by the keeper that is stopping, but by other users.
        if is_held(in_use) and not is_held(in_use, shared=True):
            return
        time.sleep(_PAUSE_SECONDS)
