"""Cards: what a mail shows of one paper, rendered and encoded once for all its subscribers."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering import fragments
from service.messages.rendering.slots import TextSlot
from service.messages.rendering.text_part import trim
from service.platform.caches import Generations, cached

# Per generation; a card takes about 2 kB.
_CARDS_KEPT = 12_288

# The pieces of a card, and whether each differs from topic to topic.
_Card: TypeAlias = tuple[tuple[fragments.Fragment, bool], ...]
# The sentence and its links to mute words, up to the link to follow the author.
_REASON = re.compile(
    f'<p class="why">You get.*?(?=( <a href="{fragments.CHANGE}\\?follow=[^>]*>[^<]*|</p>))'
)
# Entries, the macro's options, the topic's id, how many papers were numbered before.
WriteCards: TypeAlias = Callable[
    [Sequence[DigestPaper], tuple[Any, ...], int, int], fragments.Place
]


class Cards:
    """The cards of one process, by the value of the entry and the way it is shown."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._kept: Generations[_Card] = Generations("paper cards", _CARDS_KEPT)

    def writer(
        self, template: str, macro: str, *, is_numbered: bool = False, marks_last: bool = False
    ) -> WriteCards:
        """Return a function that renders entries by a macro of a template.

        `is_numbered` puts a number before each; `marks_last` tells the macro which entry is last.
        """
        render: Callable[..., str] = vars(self._environment.get_template(template).module)[macro]
        name = f"{template} {macro}"
        strip = trim if is_numbered else str.rstrip

        def write(
            entries: Sequence[DigestPaper], options: tuple[Any, ...], topic: int, number: int
        ) -> fragments.Place:
            placed: fragments.Place = []
            last = len(entries) - 1 if marks_last else -1
            for at, entry in enumerate(entries):
                key = (name, entry, at == last, topic > 0, *options)
                card = self._kept.get(key)
                if card is None:
                    text = render(entry, *options, is_last=at == last, has_topic=topic > 0)
                    card = self._kept.add(key, tuple(_cut(_tidy(text, strip))))
                if is_numbered:
                    placed.append((_number(number + at + 1), 0))
                placed += [(piece, topic if has_topic else 0) for piece, has_topic in card]
            return placed

        return write


def cards_filter(write: WriteCards) -> Callable[..., TextSlot]:
    """Return the filter `entries | html_cards(…)`: it leaves a slot, and the cards in `places`."""

    @pass_context
    def cards(
        context: Context, entries: Sequence[DigestPaper], *options: Any, topic: int = 0
    ) -> TextSlot:
        places: list[fragments.Place] = context["places"]
        # Numbered cards come in pairs, a number and a card; others ignore the count.
        number = sum(len(earlier) // 2 for earlier in places)
        places.append(write(entries, options, topic, number))
        return card_slot(len(places) - 1)

    return cards


def card_slot(number: int) -> TextSlot:
    """Return the text that stands where the cards at `places[number]` go."""
    return TextSlot(f"{fragments.CARD_OPENS}{number}{fragments.CARD_ENDS}")


@cached("paper numbers", maxsize=1_024)
def _number(number: int) -> fragments.Fragment:
    return fragments.encode_private(f"\n{number}. ")


def _cut(text: str) -> Iterator[tuple[fragments.Fragment, bool]]:
    """Yield the pieces of a card: what belongs to the paper is shared, and the reason is private."""
    found = _REASON.search(text)
    start, end = found.span() if found else (len(text), len(text))
    for piece, encode in (
        (text[:start], fragments.encode_shared),
        (text[start:end], fragments.encode_private),
        (text[end:], fragments.encode_shared),
    ):
        if piece:
            fragment = encode(piece)
            yield fragment, fragment.has_topic


def _tidy(text: str, strip: Callable[[str], str]) -> str:
    """Drop empty lines and the first line's indent, and what `strip` drops at each line's end."""
    return "\n".join([*filter(None, map(strip, text.splitlines())), ""]).lstrip()
