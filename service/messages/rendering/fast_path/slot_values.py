"""Slots of a skeleton: how each gets its text from a mail, and which texts are cached."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Protocol

from markupsafe import escape

from service.messages.rendering.fast_path import symbolic
from service.messages.rendering.fragments import Fragment, Place, encode_private, encode_shared
from service.messages.rendering.mjml_cache import compact
from service.messages.rendering.paper_cards import WriteCards
from service.messages.rendering.slots import sanitize
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import SizedCache

# Some 28,000 texts: the names of some thousand topics in both parts, and an edition’s days and counts.
_MOST_TEXT_BYTES = 16_000_000
_KEY_BYTES = 300


class CannotShare(Exception):
    """No skeleton can hold this mail, or what this template does; the message says why."""


class Slot(Protocol):
    """A hole in a skeleton."""

    def fill(self, given: symbolic.RenderInput, placed: Place) -> None:
        """Append this mail's fragments. Raises `CannotShare`."""


@dataclass(frozen=True, slots=True)
class CardsSlot:
    """A slot for paper cards; `shown` is a section, or several, as `write` takes them."""

    write: WriteCards
    shown: Any
    options: tuple[Any, ...]

    def fill(self, given: symbolic.RenderInput, placed: Place) -> None:
        shown = symbolic.value_in(self.shown, given)
        count, cards = self.write(shown, self.options, given.numbered)
        placed += cards
        given.numbered += count


class SlotValues:
    """The slots of one process for texts; texts that several mails may share are cached."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._texts: SizedCache[tuple[Fragment, int]] = SizedCache(
            "digest texts", _MOST_TEXT_BYTES, lambda text: text[0].size + _KEY_BYTES
        )

    def slot(self, value: symbolic.SymbolicValue, part: PartKind) -> Slot:
        """Return the slot of a symbolic value in a part."""
        spec = symbolic.spec_of(value)
        text = _SlotText(spec.read, part.write, part.is_whole)
        known = [read(spec.trace.given) for read in spec.sources.values()]
        if any(map(_is_own, spec.sources)) or not all(map(_is_small, known)):
            return _PrivateSlot(text, self._numbers.setdefault(spec.key, len(self._numbers)))
        reads = tuple(spec.sources.values())
        source = reads[0] if len(reads) == 1 else lambda given: tuple(read(given) for read in reads)
        places = {key: f"*{at}" for at, key in enumerate(spec.sources)}
        number = self._numbers.setdefault((part.name, _made(spec.key, places)), len(self._numbers))
        encode = encode_shared if all(map(_is_of_paper, spec.sources)) else encode_private
        return _SharedSlot(text, source, number, self._texts, encode)


def _is_own(key: Hashable) -> bool:
    """Whether hardly another mail has the value: the subscriber's own addresses, and the subject."""
    is_link = isinstance(key, str) and key.startswith("mail.links.")
    return key == "subject" or (is_link and key != "mail.links.home")


def _is_of_paper(key: Hashable) -> bool:
    """Whether the value belongs to a paper: an archive stores its text once."""
    while isinstance(key, tuple):
        key = key[0]
    return key in {"mail.papers", "mail.updates"}


def _made(key: Hashable, places: Mapping[Hashable, str]) -> Hashable:
    """Name how a value is made of its sources, wherever these are: topics come in any order."""
    if key in places:
        return places[key]
    return tuple(_made(each, places) for each in key) if isinstance(key, tuple) else key


def _is_small(value: object) -> bool:
    """Whether other mails may have an equal value, and comparing it is cheap."""
    return value is None or isinstance(value, str | int | date | Enum)


@dataclass(frozen=True, slots=True)
class _SlotText:
    read: symbolic.Read
    write: Callable[[Any], str]
    is_whole: Callable[[str], bool]

    def of(self, given: symbolic.RenderInput) -> str:
        return self.of_value(self.read(given))

    def of_value(self, value: Any) -> str:
        text = self.write(value)
        if not text or not self.is_whole(text):
            raise CannotShare("a text that the whole part would be tidied for")
        return text


@dataclass(frozen=True, slots=True)
class _PrivateSlot:
    """A slot for text of one mail alone, such as its links, which both parts mostly write alike."""

    text: _SlotText
    number: int

    def fill(self, given: symbolic.RenderInput, placed: Place) -> None:
        fragment = given.fragments.get(self.number)
        if fragment is None:
            value = self.text.read(given)
            text = self.text.of_value(value)
            fragment = encode_private(text)
            if text == value and text.isprintable():
                given.fragments[self.number] = fragment
        placed.append((fragment, 0))


@dataclass(frozen=True, slots=True)
class _SharedSlot:
    """A slot for text that other mails have as well, cached by the values it is made of."""

    text: _SlotText
    source: symbolic.Read
    number: int
    texts: SizedCache[tuple[Fragment, int]]
    encode: Callable[[str], Fragment]

    def fill(self, given: symbolic.RenderInput, placed: Place) -> None:
        key = (self.number, self.source(given))
        found = self.texts.get(key)
        placed.append(found or self.texts.add(key, (self.encode(self.text.of(given)), 0)))


def _as_markup(value: object) -> str:
    return str(escape(sanitize(value)))


def as_text(value: object) -> str:
    return str(sanitize(value))


def _is_whole_markup(text: str) -> bool:
    """Whether tidying the whole content would leave this text as it is."""
    return (text.isprintable() and text[0] != " " != text[-1]) or compact(text).strip() == text


def _is_whole_text(text: str) -> bool:
    if text.isprintable():
        return text[0] != " " != text[-1]
    return "\n\n" not in text and tidy_text(text) == f"{text}\n"


@dataclass(frozen=True, slots=True)
class PartKind:
    """How a part writes a value, and which texts it leaves as they are (`is_whole`)."""

    name: str
    write: Callable[[Any], str]
    is_whole: Callable[[str], bool]


HTML_PART = PartKind("html", _as_markup, _is_whole_markup)
TEXT_PART = PartKind("text", as_text, _is_whole_text)
