"""The process that owns one server: starts it, starts it again if it dies, and stops it when the
last user is gone, however it went. Run by `sharing.py`, never by hand; standard library only.

Locks, beside the data: users hold `in_use` together; the keeper holds `keeper` while it lives and
takes `in_use` alone to stop, so nobody can join a server that is about to go.
"""

import os
import signal
import subprocess
import sys
import time
from typing import NoReturn

from service.platform.embedded.locks import holding, is_held, open_lock, try_lock
from service.platform.embedded.servers import (
    EmbeddedError,
    Server,
    prepare_server,
    read_server,
    start_server,
    stop_server,
)

# How soon a dead server is noticed and an unused one stopped; ten looks cost about 0.1 ms.
_LOOK_SECONDS = 0.1


def main() -> int:
    """Go to the background; return 0 when the server answers, 1 with the reason on stderr."""
    server = read_server(sys.argv[1])
    subscriber, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(subscriber, encoding="utf-8") as pipe:
            answer = pipe.read()
        if answer != "ready":
            sys.stderr.write(answer or "the keeper died")
        return 0 if answer == "ready" else 1
    os.close(subscriber)
    _detach()
    _keep(server, writer)
    return 0


def _detach() -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    # A machine that shuts down ends every process: leave through the `finally` below.
    signal.signal(signal.SIGTERM, _leave)


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _keep(server: Server, writer: int) -> None:
    in_use = open_lock(server.lock_path("in_use"))
    try:
        with holding(server.lock_path("keeper"), seconds=60):
            server.lock_path("keeper").write_text(str(os.getpid()))
            try:
                prepare_server(server)
                process = start_server(server)
                os.write(writer, b"ready")
                os.close(writer)
                _watch(server, process, in_use)
            finally:
                stop_server(server)
        # `in_use` is still ours here: whoever waits for it must find the keeper's lock free.
    except (EmbeddedError, OSError) as error:
        _report(writer, error)
    finally:
        os.close(in_use)


def _report(writer: int, error: Exception) -> None:
    try:
        os.write(writer, str(error).encode())
    except OSError:
        pass  # Nobody waits for the first answer any more.


def _watch(server: Server, process: subprocess.Popen[bytes] | None, in_use: int) -> None:
    while not try_lock(in_use):
        time.sleep(_LOOK_SECONDS)
        if process is not None:
            process.poll()
        if not is_held(server.lock_path("server")):
            process = start_server(server)


if __name__ == "__main__":
    sys.exit(main())
