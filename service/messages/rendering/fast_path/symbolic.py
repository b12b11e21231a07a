"""What a template is given to write a frame: values that it may pass on without looking at them.

An open value stands for something of a reader's own. A filter of ours makes another of it, `{{ … }}`
leaves a place for it. Whatever looks inside (`{% if %}`, a loop, a text that is made of it) asks a
question, and the answer is noted: what was written holds for all mails that answer alike.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from operator import attrgetter
from typing import Any

from service.messages.contexts.digest import DigestContext
from service.messages.rendering.fast_path.fragments import Fragment


@dataclass(slots=True)
class RenderInput:
    """One mail on its way into its frames: `runs` are its own that stand in it several times, by
    their text, and so many papers have been `numbered` in this part."""

    mail: DigestContext
    subject: str = ""
    runs: dict[str, Fragment] = field(default_factory=dict)
    numbered: int = 0


Read = Callable[[RenderInput], Any]
Ask = Callable[[RenderInput], Hashable]


@dataclass(slots=True)
class TemplateTrace:
    """One writing of a template about `filling`: what it asked, and what it left places for."""

    filling: RenderInput
    asked: dict[Hashable, tuple[Ask, Hashable]] = field(default_factory=dict)
    places: list[Any] = field(default_factory=list)

    def ask(self, key: Hashable, ask: Ask) -> Any:
        if key not in self.asked:
            self.asked[key] = (ask, ask(self.filling))
        return self.asked[key][1]

    def forget(self) -> None:
        """Let go of the mail: open values live on in frames, and it need not."""
        del self.filling, self.asked, self.places


@dataclass(frozen=True, slots=True)
class _Spec:
    """What an open value stands for: `read` takes it out of a filling, `key` names it, and
    `sources` are the mail's own values that it is made of."""

    watch: TemplateTrace
    key: Hashable
    read: Read
    sources: Mapping[Hashable, Read]
    # How a filling comes to it where that is names alone, so that one call reads it.
    path: str = ""

    @property
    def now(self) -> Any:
        """The value in the mail that the template is written with."""
        return self.read(self.watch.filling)


class SymbolicValue:
    """A value that is not looked at yet."""

    __slots__ = ("_inside",)

    def __init__(
        self,
        watch: TemplateTrace,
        key: Hashable,
        read: Read,
        sources: Mapping[Hashable, Read] | None = None,
        path: str = "",
    ) -> None:
        self._inside = _Spec(watch, key, read, {key: read} if sources is None else sources, path)

    # -- passing on -----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # Python and Jinja ask for such names to learn what a value can do.
            raise AttributeError(name)
        getattr(self._inside.now, name)  # where there is no such thing, say it now
        if self._inside.path:
            return _open_path(self._inside.watch, f"{self._inside.path}.{name}")
        read, get = self._inside.read, attrgetter(name)
        return self._derive(name, lambda filling: get(read(filling)))

    def __getitem__(self, index: int | slice) -> SymbolicValue:
        read = self._inside.read
        return self._derive(repr(index), lambda filling: read(filling)[index])

    def __call__(self, *values: Hashable) -> SymbolicValue:
        read = self._inside.read
        return self._derive(tuple(map(_name, values)), lambda filling: read(filling)(*values))

    def _derive(self, name: Hashable, read: Read) -> SymbolicValue:
        return SymbolicValue(self._inside.watch, (self._inside.key, name), read)

    # -- looking --------------------------------------------------------------------------------

    def _learn(self, what: str, learn: Callable[[Any], Hashable]) -> Any:
        read = self._inside.read
        key = (self._inside.key, what)
        return self._inside.watch.ask(key, lambda filling: learn(read(filling)))

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
        return str(self._learn("str", str))

    def __format__(self, spec: str) -> str:
        return str(self._learn(f"format {spec}", lambda value: format(value, spec)))


class SymbolicMail(SymbolicValue):
    """The mail itself. What is the same for all readers of an edition, `fixed`, is given as it is."""

    __slots__ = ("_fixed",)

    def __init__(self, watch: TemplateTrace, fixed: frozenset[str]) -> None:
        super().__init__(watch, "mail", attrgetter("mail"), path="mail")
        self._fixed = fixed

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inside.now, name) if name in self._fixed else super().__getattr__(name)


def open_subject(watch: TemplateTrace) -> SymbolicValue:
    return _open_path(watch, "subject")


def _open_path(watch: TemplateTrace, path: str) -> SymbolicValue:
    return SymbolicValue(watch, path, attrgetter(path), path=path)


def passes_open(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, as a filter that makes an open value where it is given one."""

    @wraps(function)
    def either(*values: Any, **options: Any) -> Any:
        opened = [one for one in (*values, *options.values()) if isinstance(one, SymbolicValue)]
        return _pass(function, opened, values, options) if opened else function(*values, **options)

    return either


def _pass(
    function: Callable[..., Any],
    opened: list[SymbolicValue],
    values: tuple[Any, ...],
    options: dict[str, Any],
) -> SymbolicValue:
    named = tuple((name, _name(value)) for name, value in options.items())
    key = (function.__name__, tuple(map(_name, values)), named)
    sources: dict[Hashable, Read] = {}
    for one in opened:
        sources |= inside(one).sources
    return SymbolicValue(inside(opened[0]).watch, key, _read_by(function, values, options), sources)


def _read_by(
    function: Callable[..., Any], values: tuple[Any, ...], options: dict[str, Any]
) -> Read:
    first, rest = values[0], values[1:]
    if (
        isinstance(first, SymbolicValue)
        and not any(isinstance(one, SymbolicValue) for one in rest)
        and not options
    ):
        read = inside(first).read
        return lambda filling: function(read(filling), *rest)

    return lambda filling: function(
        *[read_open(value, filling) for value in values],
        **{name: read_open(value, filling) for name, value in options.items()},
    )


def _name(value: object) -> Hashable:
    """What tells a value from others in a key; an open one must not be looked at for it."""
    return inside(value).key if isinstance(value, SymbolicValue) else repr(value)


def read_open(value: Any, filling: RenderInput) -> Any:
    """What stands for a value in a mail; one that is not open stands for itself."""
    return inside(value).read(filling) if isinstance(value, SymbolicValue) else value


def inside(value: SymbolicValue) -> _Spec:
    """What an open value keeps to itself, since every plain name is one of the value's own."""
    return value._inside  # noqa: SLF001
