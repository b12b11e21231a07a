"""What a subscriber's own values become in a skeleton's slots, kept for as long as others say the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Protocol, TypeAlias

from markupsafe import escape

from service.messages.rendering.fast_path.fragments import Fragment, encode_private
from service.messages.rendering.fast_path.paper_cards import Place
from service.messages.rendering.fast_path.symbolic import Read, RenderInput, SymbolicValue, inside
from service.messages.rendering.mjml_cache import compact
from service.messages.rendering.slots import sanitize
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import register_cache

# Of each of two generations, and about 600 octets each.
_WORDS_KEPT = 8_192


class CannotShare(Exception):
    """No frame can hold this mail, or what this template does."""


class Slot(Protocol):
    """A place in a frame."""

    def fill(self, filling: RenderInput, placed: Place) -> None:
        """Add what this mail says here. Raises `CannotShare`."""


def _is_link(key: Hashable) -> bool:
    """Whether it is one of the reader's own addresses."""
    return isinstance(key, str) and key.startswith("mail.links.") and key != "mail.links.home"


def _is_small(value: object) -> bool:
    """Whether many mails may have it in common, and comparing it is quick."""
    if isinstance(value, tuple):
        return all(isinstance(one, str) for one in value)
    return value is None or isinstance(value, str | int | date | Enum)


_Key: TypeAlias = tuple[int, Hashable]


class SlotValues:
    """What readers' own values become in their mails, for as long as others say the same."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.kept: dict[_Key, tuple[Fragment, int]] = {}
        # Those of before, out of which what is asked for again comes back: a third of the words of
        # a mail are its own and go with the next change of generations.
        self._older: dict[_Key, tuple[Fragment, int]] = {}
        register_cache("digest words", self, maximum=2 * _WORDS_KEPT)

    def slot(self, value: SymbolicValue, part: PartKind) -> Slot:
        """The place of a value in a part."""
        found = inside(value)
        said = _Said(found.read, part.write, part.is_whole)
        known = [read(found.watch.filling) for read in found.sources.values()]
        if any(map(_is_link, found.sources)) or not all(map(_is_small, known)):
            return _OwnWords(said)
        reads = tuple(found.sources.values())
        source = reads[0] if len(reads) == 1 else lambda f: tuple(read(f) for read in reads)
        number = self._numbers.setdefault((part.name, found.key), len(self._numbers))
        return _SharedWords(said, source, number, self)

    def count_entries(self) -> int:
        return len(self.kept) + len(self._older)

    def forget_entries(self) -> None:
        self.kept, self._older = {}, {}

    def find(self, key: _Key, said: _Said, filling: RenderInput) -> tuple[Fragment, int]:
        """Words that are not in `kept`, which has them afterwards."""
        words = self._older.get(key) or (encode_private(said.text(filling)), 0)
        if len(self.kept) >= _WORDS_KEPT:
            self._older, self.kept = self.kept, {}
        self.kept[key] = words
        return words


@dataclass(frozen=True, slots=True)
class _Said:
    """The words of a blank."""

    read: Read
    write: Callable[[Any], str]
    is_whole: Callable[[str], bool]

    def text(self, filling: RenderInput) -> str:
        text = self.write(self.read(filling))
        if not text or not self.is_whole(text):
            raise CannotShare
        return text


@dataclass(frozen=True, slots=True)
class _OwnWords:
    """Words of one mail alone, like its links."""

    said: _Said

    def fill(self, filling: RenderInput, placed: Place) -> None:
        text = self.said.text(filling)
        run = filling.runs.get(text)
        if run is None:
            run = filling.runs[text] = encode_private(text)
        placed.append((run, 0))


@dataclass(frozen=True, slots=True)
class _SharedWords:
    """Words that other mails say as well, known again by what they are made of."""

    said: _Said
    source: Read
    number: int
    words: SlotValues

    def fill(self, filling: RenderInput, placed: Place) -> None:
        key = (self.number, self.source(filling))
        placed.append(self.words.kept.get(key) or self.words.find(key, self.said, filling))


def _as_markup(value: object) -> str:
    return str(escape(sanitize(value)))


def as_text(value: object) -> str:
    return str(sanitize(value))


def _is_whole_markup(text: str) -> bool:
    """Whether what is done to whole contents would leave these words as they are."""
    return (text.isprintable() and text[0] != " " != text[-1]) or compact(text).strip() == text


def _is_whole_text(text: str) -> bool:
    if text.isprintable():
        return text[0] != " " != text[-1]
    return "\n\n" not in text and tidy_text(text) == f"{text}\n"


@dataclass(frozen=True, slots=True)
class PartKind:
    """How a part is written: what becomes of a value, and which words may stand in it as they are."""

    name: str
    write: Callable[[Any], str]
    is_whole: Callable[[str], bool]


HTML_PART = PartKind("html", _as_markup, _is_whole_markup)
TEXT_PART = PartKind("text", as_text, _is_whole_text)
