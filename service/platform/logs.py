"""Structured logging on stderr: one line per event, with all addresses and signed links masked.

In a server process all lines go through one handler: our events, those of uvicorn and Celery,
warnings of Python, and the traceback of an error that nobody caught.
"""

import logging
import re
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.platform.log_file import LogFile

# Credentials in URLs are removed first; the address mask alone would leave the user name and the
# first letter of the password of `user:password@host`.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_LOCAL = r"""[^\s@<>()\[\]{}"',:;=/\\]"""
# The look-behind lets a match begin only at the start of a word: without it the pattern is tried at
# each letter of a long word (quadratic time), and a log line of 200,000 letters takes minutes.
_ADDRESS = re.compile(rf"""("[^"\n]+"|(?<!{_LOCAL}){_LOCAL}+)(@|%40)(?=[\w\[])""")
# Celery's name for a worker on this machine, which is nobody's address.
_NODE = re.compile(rf"(?:celery|worker(?:-[a-z]+)?)@{re.escape(socket.gethostname())}(?![\w.@-])")
# A signed token (`service.platform.signing.tokens`) is the base64 of 24 octets or more, the first of
# them 0, a dot and a signature. Its bearer may do what the link does.
_TOKEN = re.compile(r"(?<![\w-])A[\w-]{31,}\.[\w-]{16,}")

# Libraries that bring handlers of their own, which write other lines than ours.
_LIBRARIES = ("uvicorn", "uvicorn.access", "uvicorn.error", "celery", "celery.task", "py.warnings")
STDERR = 2


def mask_addresses(text: str) -> str:
    """Shorten every email address in `text`: `subscriber@example.org` becomes `s***@example.org`."""
    return _ADDRESS.sub(_mask, _CREDENTIALS.sub("***@", text))


def _mask(match: re.Match[str]) -> str:
    if _NODE.match(match.string, match.start()):
        return match[0]
    local = match[1].lstrip('"')
    return f"***{match[2]}" if local.startswith("***") else f"{local[0]}***{match[2]}"


def _mask_value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_mask_value(key): _mask_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_value(item) for item in value]
    text = value if isinstance(value, str) else str(value)
    return mask_addresses(_TOKEN.sub("***", text))


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask addresses and tokens in every value of an event (a structlog processor)."""
    # Keys with a leading underscore are structlog's own (the record itself) and are never printed.
    return {k: v if k.startswith("_") else _mask_value(v) for k, v in event.items()}


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (default stderr).

    Coloured lines on a terminal, one JSON object per line elsewhere. May be called again.
    """
    output = stream or sys.stderr
    _configure(level, logging.StreamHandler(output), is_terminal=output.isatty())


def configure_service(level: str = "INFO", file: Path | None = None) -> None:
    """Send every line of a server process to `file`, or to stderr where it is None.

    That includes Python's warnings, lines of uvicorn and Celery, and errors that nobody caught.
    """
    if file is None:
        configure(level)
    else:
        # What goes past the logger, such as a fault of the interpreter, follows to the same file.
        _configure(level, LogFile(file, also=(STDERR,)), is_terminal=False)
    logging.captureWarnings(capture=True)
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers[:], library.propagate = [], True
        library.setLevel(logging.NOTSET)
    # The site writes a line for each request itself: uvicorn's has the tokens of links in it.
    logging.getLogger("uvicorn.access").propagate = False
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(
        crash.exc_type, crash.exc_value, crash.exc_traceback
    )


def _log_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is None or not issubclass(kind, Exception):
        return  # Ctrl-C, or an end that was wanted.
    logging.getLogger(__name__).critical("crashed", exc_info=(kind, error, trace))


def _configure(level: str, handler: logging.Handler, *, is_terminal: bool) -> None:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(_make_formatter(shared, is_terminal=is_terminal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _make_formatter(shared: list[Processor], *, is_terminal: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _name_task],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Tracebacks become text before the mask, because exceptions often quote addresses.
            structlog.processors.format_exc_info,
            mask_event,
            renderer,
        ],
    )


def _name_task(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the task's name and id to Celery's own lines (a structlog processor)."""
    task = getattr(event.get("_record"), "data", None)
    if isinstance(task, dict) and "id" in task:
        event.setdefault("task", task.get("name"))
        event.setdefault("task_id", task["id"])
    return event


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; use `bind` for values on every line of a task or request."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))
