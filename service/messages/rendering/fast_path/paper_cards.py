"""What a mail shows of one paper, written once for all its readers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.fast_path.fragments import (
    CARD_ENDS,
    CARD_OPENS,
    Fragment,
    encode_private,
    encode_shared,
)
from service.messages.rendering.fast_path.symbolic import RenderInput, SymbolicValue, read_open
from service.messages.rendering.slots import TextSlot
from service.messages.rendering.text_part import trim
from service.platform.caches import cached, register_cache

# Of each of two generations, and about 2 kB each.
_CARDS_KEPT = 12_288

_Key = tuple[object, ...]
# The entry, its card, and whether that is another for each topic.
_Card = tuple[DigestPaper, Fragment, bool]
# What stands where cards were asked for: runs, each with its topic.
Place = list[tuple[Fragment, int]]
WritePlace = Callable[[Sequence[DigestPaper], tuple[Any, ...], int, int], Place]


@dataclass(frozen=True, slots=True)
class CardsSlot:
    """A place for cards in a frame."""

    write: WritePlace
    entries: Sequence[DigestPaper] | SymbolicValue
    options: tuple[Any, ...]
    topic: int | SymbolicValue

    def fill(self, filling: RenderInput, placed: Place) -> None:
        topic = read_open(self.topic, filling)
        entries = read_open(self.entries, filling)
        placed += self.write(entries, self.options, topic, filling.numbered)
        filling.numbered += len(entries)


class Cards:
    """The cards of one process: each is written and encoded once and then only joined.

    In a template `entries | html_cards(…)` leaves a place; what goes there stands in the render's
    own `places`.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        # The entry is kept beside its card: while it lives, nobody else can have its id.
        self._kept: dict[_Key, _Card] = {}
        # Those of before, out of which what is still asked for comes back: what nobody asks for
        # goes with the next change of generations. Thousands of readers ask for the same hundreds.
        self._older: dict[_Key, _Card] = {}
        register_cache("paper cards", self, maximum=2 * _CARDS_KEPT)

    def filter_for(
        self, template: str, macro: str, *, is_numbered: bool = False, marks_last: bool = False
    ) -> Callable[..., TextSlot]:
        """A filter that shows entries by a macro of a template, each after its number if asked.

        With `marks_last` the last of a group is written in its own way.
        """
        write: Callable[..., str] = vars(self._environment.get_template(template).module)[macro]
        name = f"{template} {macro}"

        @pass_context
        def cards(
            context: Context,
            entries: Sequence[DigestPaper] | SymbolicValue,
            *options: Any,
            topic: int | SymbolicValue = 0,
        ) -> TextSlot:
            places: list[Any] = context["places"]
            if isinstance(entries, SymbolicValue) or isinstance(topic, SymbolicValue):
                places.append(CardsSlot(place, entries, options, topic))
            else:
                number = sum(len(earlier) // 2 for earlier in places) if is_numbered else 0
                places.append(place(entries, options, topic, number))
            return TextSlot(f"{CARD_OPENS}{len(places) - 1}{CARD_ENDS}")

        def place(
            entries: Sequence[DigestPaper], options: tuple[Any, ...], topic: int, number: int
        ) -> Place:
            placed: Place = []
            last = len(entries) - 1 if marks_last else -1
            for at, entry in enumerate(entries):
                key = (name, id(entry), at == last, topic > 0, *options)
                kept = self._kept.get(key) or self._find_older(key)
                if kept is None:
                    card = write(entry, *options, is_last=at == last, has_topic=topic > 0)
                    tidied = _tidy_text(card) if is_numbered else _tidy(card)
                    run = encode_shared(tidied)
                    kept = self._keep(key, (entry, run, run.has_topic))
                if is_numbered:
                    placed.append((_number(number + at + 1), 0))
                placed.append((kept[1], topic if kept[2] else 0))
            return placed

        return cards

    def count_entries(self) -> int:
        return len(self._kept) + len(self._older)

    def forget_entries(self) -> None:
        self._kept, self._older = {}, {}

    def _find_older(self, key: _Key) -> _Card | None:
        card = self._older.get(key)
        return card and self._keep(key, card)

    def _keep(self, key: _Key, card: _Card) -> _Card:
        if len(self._kept) >= _CARDS_KEPT:
            self._older, self._kept = self._kept, {}
        self._kept[key] = card
        return card


@cached("paper numbers", maxsize=1_024)
def _number(number: int) -> Fragment:
    return encode_private(f"\n{number}. ")


def _tidy(text: str) -> str:
    """Lines without blanks at their end and without empty ones; the first has no indent either."""
    return _join([line for line in map(str.rstrip, text.splitlines()) if line])


def _tidy_text(text: str) -> str:
    """The same with the blanks that say that a paragraph goes on."""
    return _join([line for line in map(trim, text.splitlines()) if line])


def _join(lines: list[str]) -> str:
    return "\n".join([*lines, ""]).lstrip()
