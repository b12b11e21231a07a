"""A check that no template reads the database: all its data must be read before."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import jinja2
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, SessionTransaction


@dataclass
class Watch:
    """`rendered`: the templates that were rendered; `faults`: reads during rendering."""

    rendered: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class _Here(threading.local):
    """What this thread is at."""

    begun: int = 0
    template: str = ""


@contextmanager
def watch_rendering(engine: Engine, *, but: threading.Thread | None = None) -> Iterator[Watch]:
    """Note every template written inside a transaction, and every statement while one is written.

    Counted by thread, because a page or mail is read and written by one, and others may be busy;
    the thread `but` may do as it likes.
    """
    here, watch = _Here(), Watch()

    def begin(_: Session, transaction: SessionTransaction) -> None:
        here.begun += transaction.parent is None

    def end(_: Session, transaction: SessionTransaction) -> None:
        here.begun -= transaction.parent is None

    def execute(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if here.template:
            watch.faults.append(f"{here.template} asks: {statement}")

    render = jinja2.Template.render

    @wraps(render)
    def watched(self: jinja2.Template, *args: Any, **values: Any) -> str:
        if threading.current_thread() is but:
            return render(self, *args, **values)
        name = str(self.name)
        watch.rendered.append(name)
        if here.begun:
            watch.faults.append(f"{name} is written inside a transaction")
        here.template = name
        try:
            return render(self, *args, **values)
        finally:
            here.template = ""

    listeners = (
        (Session, "after_transaction_create", begin),
        (Session, "after_transaction_end", end),
        (engine, "before_cursor_execute", execute),
    )
    for listener in listeners:
        event.listen(*listener)
    jinja2.Template.render = watched  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        jinja2.Template.render = render  # type: ignore[method-assign]
        for listener in listeners:
            event.remove(*listener)
