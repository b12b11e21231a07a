"""Each template compiled once in a test process, however many environments load it.

Each test of the web site makes an application of its own, and with it a renderer of mails; to compile their
templates took a quarter of the processor time of such a test. A service makes them once.
"""

from collections.abc import Hashable
from types import CodeType
from typing import Any

from jinja2 import Environment
from jinja2.lexer import get_lexer

_compiled: dict[Hashable, CodeType] = {}
_compile = Environment.compile


def _compile_once(
    self: Environment,
    source: Any,
    name: str | None = None,
    filename: str | None = None,
    raw: bool = False,
    defer_init: bool = False,
) -> Any:
    if raw or not isinstance(source, str):
        return _compile(self, source, name, filename, raw, defer_init)  # type: ignore[call-overload]
    # Jinja applies filters and tests to constants while it compiles, so they must be the same; those that
    # an environment makes of one function differ by the environment, and are given papers, not constants.
    functions = [
        (name, getattr(function, "__code__", function))
        for named in (self.filters, self.tests)
        for name, function in named.items()
    ]
    key = (
        *(source, name, filename, defer_init, type(self), get_lexer(self), self.autoescape),
        *(self.finalize, self.undefined, self.optimized, self.is_async),
        *(frozenset(functions), tuple(sorted(self.extensions))),
    )
    if key not in _compiled:
        _compiled[key] = _compile(self, source, name, filename, raw, defer_init)
    return _compiled[key]


def compile_templates_once() -> None:
    """Make every environment of this process share what is compiled."""
    Environment.compile = _compile_once  # type: ignore[method-assign]
