"""Errors of commands as one sentence and an exit code."""

import logging

from sqlalchemy.exc import DBAPIError, OperationalError
from typer.exceptions import TyperException

from service.cli.context import CommandError
from service.operations.backup import BackupError
from service.platform.database.dump import DumpError
from service.platform.embedded import EmbeddedError
from service.platform.settings.faults import SettingsError
from service.sending.demo_guard import DemoDatabase
from service.sending.restore_guard import DatabaseRestored, MarkUnwritten, WrongAnswer
from service.subscribers.validate import SignUpError
from service.topics.topics import TopicError

log = logging.getLogger(__name__)


def describe(error: Exception) -> tuple[str, int]:
    """Return the sentence to print, and exit code 2 where the command was used wrongly, else 1.

    An unexpected error is a bug of ours: it is one line too, and its traceback is logged at DEBUG.
    """
    match error:
        case CommandError():
            return str(error), error.exit_code
        case TyperException():
            return _usage(error), 2
        case TopicError():
            return _topic_fault(error), 2
        case SignUpError():
            faults = (_topic_fault(f.topic) if f.topic else f.text for f in error.faults)
            return " ".join(faults), 2
        case SettingsError() | BackupError() | WrongAnswer():
            return str(error), 2
        case _:
            return _failure(error), 1


def _failure(error: Exception) -> str:
    """Return the sentence for an error that is not the fault of the command line."""
    match error:
        case OperationalError():
            return f"the database does not answer: {_first_line(error.orig)}"
        case DBAPIError():
            return f"the database reports an error: {_first_line(error.orig)}"
        case OSError(filename=name, strerror=reason) if name and reason:
            return f"{name}: {reason}"
        case EmbeddedError() | DumpError() | OSError():
            return str(error)
        case DatabaseRestored() | MarkUnwritten() | DemoDatabase():
            return str(error)
        case _:
            log.debug("unexpected", exc_info=error)
            text = f"a bug in Paperboy, please report it: {type(error).__name__}: {error}"
            return f"{text} (PAPERBOY_LOG_LEVEL=DEBUG shows where)"


def _usage(error: TyperException) -> str:
    text = error.format_message().replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}; see: {context.command_path} --help" if context else text


def _topic_fault(error: TopicError) -> str:
    """Return the fault in a topic with its position, which some texts contain already."""
    text = str(error)
    where = "" if error.position is None or "(character" in text else _place(error.position)
    return f"topic {error.topic!r}: {text}{where}"


def _place(position: int) -> str:
    return f" (character {position + 1})"


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
