"""Cards: what a mail shows of one paper, written by a macro of a template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering import fragments
from service.messages.rendering.slots import TextSlot
from service.messages.rendering.text_part import trim
from service.platform.caches import Generations, cached

# Per generation; a card takes about 4 kB with its wire form.
_MOST_CARD_BYTES = 24_000_000
_KEY_BYTES = 1_000

# The encoded text of a card or of a piece of it, and whether it differs from topic to topic. Where it
# does not, it is placed as it is: False is the topic 0.
CardText: TypeAlias = tuple[fragments.Fragment, bool]
# How entries are shown: whether this is the last, whether it has a topic, the macro's own options.
CardView: TypeAlias = tuple[Any, ...]
# Appends an entry's fragments; the number is the id of its topic.
PlaceCard: TypeAlias = Callable[[DigestPaper, CardView, int, fragments.Place], None]
# Entries, the macro's options, the topic's id, how many papers were numbered before.
WriteCards: TypeAlias = Callable[
    [Sequence[DigestPaper], tuple[Any, ...], int, int], fragments.Place
]


@dataclass(frozen=True, slots=True)
class CardKind:
    """Cards of one macro of a template.

    `is_numbered` puts a number before each; `marks_last` tells the macro which entry is last.
    """

    template: str
    macro: str
    is_numbered: bool = False
    marks_last: bool = False

    def macro_of(self, environment: Environment) -> Callable[[DigestPaper, CardView], str]:
        """Return a function that renders an entry by the macro."""
        macro = vars(environment.get_template(self.template).module)[self.macro]

        def render(entry: DigestPaper, view: CardView) -> str:
            is_last, has_topic, *options = view
            return self.tidy(macro(entry, *options, is_last=is_last, has_topic=has_topic))

        return render

    def tidy(self, text: str) -> str:
        """Drop empty lines, the first line's indent, and blanks at the ends of lines."""
        strip = trim if self.is_numbered else str.rstrip
        return "\n".join([*filter(None, map(strip, text.splitlines())), ""]).lstrip()

    def writer(self, place: PlaceCard) -> WriteCards:
        """Return a function that places the cards of several entries."""

        def write(
            entries: Sequence[DigestPaper], options: tuple[Any, ...], topic: int, number: int
        ) -> fragments.Place:
            placed: fragments.Place = []
            last = len(entries) - 1 if self.marks_last else -1
            view, last_view = ((is_last, topic > 0, *options) for is_last in (False, True))
            for at, entry in enumerate(entries):
                if self.is_numbered:
                    placed.append((_number(number + at + 1), 0))
                place(entry, last_view if at == last else view, topic, placed)
            return placed

        return write


class WholeCards:
    """Cards rendered whole by their macro, for each entry as it is."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._kept: Generations[CardText] = Generations(
            "whole cards", _MOST_CARD_BYTES, lambda card: card[0].size + _KEY_BYTES
        )

    def placer(self, kind: CardKind) -> PlaceCard:
        """Return the function that places a card of this kind."""
        render = kind.macro_of(self._environment)

        def place(entry: DigestPaper, view: CardView, topic: int, placed: fragments.Place) -> None:
            key = (kind, entry, view)
            card = self._kept.get(key)
            if card is None:
                card = self._kept.add(key, card_text(fragments.encode_shared(render(entry, view))))
            add_text(placed, card, topic)

        return place


def card_text(fragment: fragments.Fragment) -> CardText:
    return fragment, fragment.has_topic


def add_text(placed: fragments.Place, text: CardText, topic: int) -> None:
    """Append a fragment, with the topic where it shows one."""
    placed.append((text[0], topic) if text[1] else text)


def cards_filter(write: WriteCards) -> Callable[..., TextSlot]:
    """Return the filter `entries | html_cards(…)`: it leaves a slot, and the cards in `places`."""

    @pass_context
    def cards(
        context: Context, entries: Sequence[DigestPaper], *options: Any, topic: int = 0
    ) -> TextSlot:
        places: list[tuple[int, fragments.Place]] = context["places"]
        number = sum(count for count, _ in places)
        places.append((len(entries), write(entries, options, topic, number)))
        return card_slot(len(places) - 1)

    return cards


def card_slot(number: int) -> TextSlot:
    """Return the text that stands where the cards at `places[number]` go."""
    return TextSlot(f"{fragments.CARD_OPENS}{number}{fragments.CARD_ENDS}")


@cached("paper numbers", maxsize=1_024)
def _number(number: int) -> fragments.Fragment:
    return fragments.encode_private(f"\n{number}. ")
