"""Symbolic values: what a template gets instead of a subscriber's own values (symbolic execution).

Our filters map a symbolic value to another one; `{{ … }}` leaves a slot for it. Everything that needs
the value itself (`{% if %}`, a loop, string building) is a question. The trace records each question
with its answer: the output holds for every mail with the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from operator import attrgetter
from typing import Any

from markupsafe import soft_str

from service.messages.contexts.digest import DigestContext
from service.messages.rendering.fragments import OPEN_ENDS, OPEN_OPENS, Fragment
from service.messages.rendering.slots import TextSlot, sanitize


@dataclass(slots=True)
class RenderInput:
    """The mail that fills skeletons. `fragments` keeps its own texts by the number of their slot;
    `numbered` counts the numbered papers of the current part.
    """

    mail: DigestContext
    subject: str = ""
    fragments: dict[int, Fragment] = field(default_factory=dict)
    numbered: int = 0


# From what is rendered: a `RenderInput`, or what a topic adds to a card.
Read = Callable[[Any], Any]
Ask = Callable[[Any], Hashable]


@dataclass(slots=True)
class TemplateTrace:
    """One rendering of a template for `given`: its questions with their answers, and its slots."""

    given: Any
    questions: dict[Hashable, tuple[Ask, Hashable]] = field(default_factory=dict)
    places: list[Any] = field(default_factory=list)

    def ask(self, key: Hashable, ask: Ask) -> Any:
        if key not in self.questions:
            self.questions[key] = (ask, ask(self.given))
        return self.questions[key][1]

    def forget(self) -> None:
        """Release the mail: symbolic values outlive it in their skeletons."""
        del self.given, self.questions, self.places


@dataclass(frozen=True, slots=True)
class _Spec:
    """How to get a symbolic value: `read` computes it from an input, `key` identifies it, `sources`
    are the values of the mail that it is computed from, `call` the filter that it comes from.
    """

    trace: TemplateTrace
    key: Hashable
    read: Read
    sources: Mapping[Hashable, Read]
    # The dotted path, where attribute access alone leads to it: one `attrgetter` reads it.
    path: str = ""
    call: tuple[Callable[..., Any], tuple[Any, ...]] | None = None

    @property
    def now(self) -> Any:
        """The value in the mail that the template is being rendered for."""
        return self.read(self.trace.given)


class SymbolicValue:
    """A value that may be passed on without being known."""

    __slots__ = ("_spec",)

    def __init__(
        self,
        trace: TemplateTrace,
        key: Hashable,
        read: Read,
        sources: Mapping[Hashable, Read] | None = None,
        path: str = "",
        call: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        sources = {key: read} if sources is None else sources
        self._spec = _Spec(trace, key, read, sources, path, call)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # Python and Jinja look up such names to learn what a value can do.
            raise AttributeError(name)
        getattr(self._spec.now, name)  # a missing attribute must fail here
        if self._spec.path:
            return symbolic_path(self._spec.trace, f"{self._spec.path}.{name}")
        read, get = self._spec.read, attrgetter(name)
        return self._derive(name, lambda given: get(read(given)))

    def __getitem__(self, index: int | slice) -> SymbolicValue:
        read = self._spec.read
        return self._derive(repr(index), lambda given: read(given)[index])

    def __call__(self, *values: Hashable) -> SymbolicValue:
        read = self._spec.read
        return self._derive(tuple(map(_name, values)), lambda given: read(given)(*values))

    def _derive(self, name: Hashable, read: Read) -> SymbolicValue:
        return SymbolicValue(self._spec.trace, (self._spec.key, name), read)

    def _learn(self, what: str, learn: Callable[[Any], Hashable]) -> Any:
        read = self._spec.read
        key = (self._spec.key, what)
        return self._spec.trace.ask(key, lambda given: learn(read(given)))

    def __bool__(self) -> bool:
        return bool(self._learn("bool", bool))

    def __len__(self) -> int:
        return int(self._learn("len", len))

    def __iter__(self) -> Iterator[SymbolicValue]:
        return (self[number] for number in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return bool(self._learn(f"eq {_name(other)}", lambda value: value == other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._learn("hash", hash))

    def __str__(self) -> str:
        # Markup stays markup, as for Jinja's own filters.
        text: str = self._learn("str", soft_str)
        return text

    def __format__(self, spec: str) -> str:
        return str(self._learn(f"format {spec}", lambda value: format(value, spec)))


class SymbolicMail(SymbolicValue):
    """The mail itself; attributes in `fixed`, equal for a whole edition, are returned as they are."""

    __slots__ = ("_fixed",)

    def __init__(self, trace: TemplateTrace, fixed: frozenset[str]) -> None:
        super().__init__(trace, "mail", attrgetter("mail"), path="mail")
        self._fixed = fixed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._spec.now, name) if name in self._fixed else super().__getattr__(name)


def symbolic_path(trace: TemplateTrace, path: str) -> SymbolicValue:
    return SymbolicValue(trace, path, attrgetter(path), path=path)


def accept_symbolic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter so that it returns a symbolic value where it is given one."""

    @wraps(function)
    def wrapper(*values: Any, **options: Any) -> Any:
        found = [each for each in (*values, *options.values()) if isinstance(each, SymbolicValue)]
        return _pass(function, found, values, options) if found else function(*values, **options)

    return wrapper


def _pass(
    function: Callable[..., Any],
    symbolic: list[SymbolicValue],
    values: tuple[Any, ...],
    options: dict[str, Any],
) -> SymbolicValue:
    named = tuple((name, _name(value)) for name, value in options.items())
    key = (function.__name__, tuple(map(_name, values)), named)
    sources: dict[Hashable, Read] = {}
    for each in symbolic:
        sources |= spec_of(each).sources
    read = _parse_by(function, values, options)
    call = None if options else (function, values)
    return SymbolicValue(spec_of(symbolic[0]).trace, key, read, sources, call=call)


def _parse_by(
    function: Callable[..., Any], values: tuple[Any, ...], options: dict[str, Any]
) -> Read:
    first, rest = values[0], values[1:]
    if (
        isinstance(first, SymbolicValue)
        and not any(isinstance(each, SymbolicValue) for each in rest)
        and not options
    ):
        read = spec_of(first).read
        return lambda given: function(read(given), *rest)

    return lambda given: function(
        *[value_in(value, given) for value in values],
        **{name: value_in(value, given) for name, value in options.items()},
    )


def _name(value: object) -> Hashable:
    """Identify a value in a key; a symbolic one without asking for its value."""
    return spec_of(value).key if isinstance(value, SymbolicValue) else repr(value)


def value_in(value: Any, given: RenderInput) -> Any:
    """Return the value that `value` has in a mail; one that is not symbolic is returned as it is."""
    return spec_of(value).read(given) if isinstance(value, SymbolicValue) else value


def spec_of(value: SymbolicValue) -> _Spec:
    """Return how to get a symbolic value; its plain attribute names belong to the value."""
    return value._spec  # noqa: SLF001


def finalize(value: object) -> object:
    """Clean a value as the plain templates do, or leave a slot for a symbolic one."""
    if not isinstance(value, SymbolicValue):
        return sanitize(value)
    places = spec_of(value).trace.places
    places.append(value)
    return TextSlot(f"{OPEN_OPENS}{len(places) - 1}{OPEN_ENDS}")
