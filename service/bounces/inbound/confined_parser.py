"""Parse mails of strangers in a child process, which a hostile one may stop, crash or fill.

The child lives for many mails, so that an ordinary one costs no more than its parsing. One that
exceeds its budget ends the child, and the next mail gets a new one.
"""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Timer
from typing import BinaryIO, cast

from pydantic import TypeAdapter, ValidationError

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.mailbox import MailboxUnavailable
from service.bounces.inbound.mime_parts import MOST_BYTES, NotReadable
from service.bounces.inbound.parser_process import CPU_SECONDS, read_frame, write_frame

COMMAND = (sys.executable, "-I", "-m", "service.bounces.inbound.parser_process")
# Of real time. The child limits its processor time itself; a busy machine may need longer.
MOST_SECONDS = 120.0
# A child that ended without a reason of ours is replaced once: something else may have ended it.
_TRIES = 2

_REPLY: TypeAdapter[BounceMail | dict[str, str]] = TypeAdapter(BounceMail | dict[str, str])


class ParserUnavailable(MailboxUnavailable):
    """The child process cannot be started. No mail is at fault, so all of them have to wait."""


class _ParserEnded(Exception):
    """The child process ended before it answered."""


class ConfinedParser:
    """A child process that parses mails, started with the first one; threads wait for each other."""

    def __init__(
        self, command: Sequence[str] = COMMAND, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._command = tuple(command)
        self._most_seconds = most_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def parse(self, raw: bytes) -> BounceMail:
        """Return a mail's values. Raises `NotReadable` with the reason, and `ParserUnavailable`."""
        if len(raw) > MOST_BYTES:
            raise NotReadable(f"the message is larger than {MOST_BYTES} bytes")
        with self._lock:
            found = self._parse(raw)
            if isinstance(found, BounceMail):
                return found
            # What stopped the parser may have left its memory in disorder.
            self._end()
            raise NotReadable(found["fault"])

    def close(self) -> None:
        """End the child; the next mail starts another one."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """Leave the child to the process that this one was forked from."""
        self._child, self._lock = None, Lock()

    def _parse(self, raw: bytes) -> BounceMail | dict[str, str]:
        reason = ""
        for _ in range(_TRIES):
            try:
                return _REPLY.validate_json(self._ask(raw))
            except _ParserEnded as error:
                reason = str(error)
            except ValidationError:
                return {"fault": "its parser answered with something else than a mail"}
        return {"fault": reason}

    def _ask(self, raw: bytes) -> bytes:
        child, late = self._child or self._start(), Event()

        def stop() -> None:
            late.set()
            child.kill()

        timer = Timer(self._most_seconds, stop)
        timer.start()
        try:
            reply = _exchange(child, raw)
        finally:
            timer.cancel()
        if reply:
            return reply
        # Its output ends a moment before it does, and its status says why.
        with suppress(subprocess.TimeoutExpired):
            child.wait(self._most_seconds)
        self._end()
        if late.is_set():
            raise NotReadable(f"it is not parsed after {self._most_seconds:g} s")
        if child.returncode == -signal.SIGPROF:
            raise NotReadable(f"it needs more than {CPU_SECONDS:g} s of processor time")
        raise _ParserEnded(f"its parser ended with {_name_status(child.returncode)}")

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            # Without our environment, which may hold secrets, and out of a terminal's Ctrl-C.
            child = subprocess.Popen(
                self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ParserUnavailable(f"no process for parsing mails: {error.strerror}") from error
        self._child = child
        if not read_frame(cast("BinaryIO", child.stdout)):
            self._end()
            command = " ".join(self._command)
            raise ParserUnavailable(f"the parser of mails does not start; try: {command}")
        return child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _exchange(child: subprocess.Popen[bytes], raw: bytes) -> bytes:
    """Return the answer to a mail; empty where the child ended first."""
    with suppress(BrokenPipeError):
        write_frame(cast("BinaryIO", child.stdin), raw or b"\n")
        return read_frame(cast("BinaryIO", child.stdout))
    return b""


def _name_status(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"


# One child for each process that reads bounces.
PARSER = ConfinedParser()
os.register_at_fork(after_in_child=PARSER.forget)
atexit.register(PARSER.close)
