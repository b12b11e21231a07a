"""The supervisor process of one server: it starts the server, restarts it if it dies, and stops it
when its last user has ended, even by a kill. Run by `leases.py`, not by hand; standard library only.

Lock files, beside the data: users share `in_use`; the supervisor holds `keeper` while it lives, and
takes `in_use` exclusively before it stops, so no process can join a server that is stopping.
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
    parse_server,
    prepare_server,
    start_server,
    stop_server,
)

# How soon a dead server is noticed and an unused one stopped; ten checks cost about 0.1 ms.
_POLL_SECONDS = 0.1


def main() -> int:
    """Fork to the background; return 0 when the server answers, 1 with the reason on stderr."""
    server = parse_server(sys.argv[1])
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8") as pipe:
            answer = pipe.read()
        if answer != "ready":
            sys.stderr.write(answer or "the supervisor died")
        return 0 if answer == "ready" else 1
    os.close(read_end)
    _detach()
    _supervise(server, write_end)
    return 0


def _detach() -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    # A shutdown of the machine sends SIGTERM: raise, so that the `finally` below stops the server.
    signal.signal(signal.SIGTERM, _leave)


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _supervise(server: Server, write_end: int) -> None:
    in_use = open_lock(server.lock_path("in_use"))
    try:
        with holding(server.lock_path("keeper"), seconds=60):
            server.lock_path("keeper").write_text(str(os.getpid()))
            try:
                prepare_server(server)
                process = start_server(server)
                os.write(write_end, b"ready")
                os.close(write_end)
                _watch(server, process, in_use)
            finally:
                stop_server(server)
        # `in_use` is still held here: a process that waits for it must find `keeper` free.
    except (EmbeddedError, OSError) as error:
        _report(write_end, error)
    finally:
        os.close(in_use)


def _report(write_end: int, error: Exception) -> None:
    try:
        os.write(write_end, str(error).encode())
    except OSError:
        pass  # The pipe is closed: the server started, and its starter has returned.


def _watch(server: Server, process: subprocess.Popen[bytes] | None, in_use: int) -> None:
    while not try_lock(in_use):
        time.sleep(_POLL_SECONDS)
        if process is not None:
            process.poll()
        if not is_held(server.lock_path("server")):
            process = start_server(server)


if __name__ == "__main__":
    sys.exit(main())
