"""Cards: what a mail shows of one paper, written by a macro of a template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestPaper, DigestSection
from service.messages.rendering import fragments
from service.messages.rendering.slots import TextSlot
from service.messages.rendering.text_part import trim
from service.platform.caches import Generations

# Per generation; a card takes about 4 kB with its wire form.
_MOST_CARD_BYTES = 24_000_000
_KEY_BYTES, _OPENING_KEY_BYTES = 1_000, 200
# Per generation: some thousand sets of codes and headings.
_MOST_OPENING_BYTES = 6_000_000

# The encoded text of a card or of a piece of it, and whether it differs from topic to topic. Where it
# does not, it is placed as it is: False is the topic 0.
CardText: TypeAlias = tuple[fragments.Fragment, bool]
# How entries are shown: whether this is the last, whether it has a topic, the macro's own options.
CardView: TypeAlias = tuple[Any, ...]
# Appends an entry's fragments; the number is the id of its topic.
PlaceCard: TypeAlias = Callable[[DigestPaper, CardView, int, fragments.Place], None]
# A section, or several; the macro's options; how many papers were numbered before. Returns how many
# entries there are, and their fragments.
WriteCards: TypeAlias = Callable[[Any, tuple[Any, ...], int], tuple[int, fragments.Place]]


@dataclass(frozen=True, slots=True)
class CardKind:
    """Cards of one macro of a template.

    The macro `…_number` of the template writes what is before each card, `…_codes` the names of new
    categories before the first; `marks_last` tells the macro which entry is last. `has_headings`:
    cards of several sections, and `…_heading` writes the title of each.
    """

    template: str
    macro: str
    marks_last: bool = False
    has_headings: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it writes lines of the text part."""
        return self.template.endswith(".txt")

    def macro_of(self, environment: Environment) -> Callable[[DigestPaper, CardView], str]:
        """Return a function that renders an entry by the macro."""
        macro = vars(environment.get_template(self.template).module)[self.macro]

        def render(entry: DigestPaper, view: CardView) -> str:
            is_last, has_topic, *options = view
            return self.tidy(macro(entry, *options, is_last=is_last, has_topic=has_topic))

        return render

    def tidy(self, text: str) -> str:
        """Drop empty lines, the first line's indent, and blanks at the ends of lines."""
        strip = trim if self.is_text else str.rstrip
        return "\n".join([*filter(None, map(strip, text.splitlines())), ""]).lstrip()

    def writer(self, place: PlaceCard, openings: Openings) -> WriteCards:
        """Return a function that places the cards of a section, or of several with headings."""
        write_heading, write_codes = openings.of(self, "heading"), openings.of(self, "codes")
        numbers = openings.numbers_of(self)

        def add(
            section: DigestSection, options: tuple[Any, ...], number: int, placed: fragments.Place
        ) -> None:
            topic = section.topic_id
            last = len(section.papers) - 1 if self.marks_last else -1
            view, last_view = ((is_last, topic > 0, *options) for is_last in (False, True))
            if section.codes:
                placed.append((write_codes(section.codes), 0))
            written = numbers(number + len(section.papers))
            for at, entry in enumerate(section.papers):
                placed.append(written[number + at])
                place(entry, last_view if at == last else view, topic, placed)

        def write(
            section: DigestSection, options: tuple[Any, ...], number: int
        ) -> tuple[int, fragments.Place]:
            placed: fragments.Place = []
            add(section, options, number, placed)
            return len(section.papers), placed

        def write_all(
            sections: Sequence[DigestSection], options: tuple[Any, ...], number: int
        ) -> tuple[int, fragments.Place]:
            placed: fragments.Place = []
            count = 0
            for section in sections:
                placed.append((write_heading(section.title), 0))
                add(section, options, number + count, placed)
                count += len(section.papers)
            return count, placed

        return write_all if self.has_headings else write


class Openings:
    """What stands before cards: numbers, names of categories, headings, written by macros and encoded once."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._kept: Generations[fragments.Fragment] = Generations(
            "card openings",
            _MOST_OPENING_BYTES,
            lambda fragment: fragment.size + _OPENING_KEY_BYTES,
        )

    def of(self, kind: CardKind, what: str) -> Callable[[str], fragments.Fragment]:
        """Return the function that writes headings or codes for cards of this kind."""
        name = f"{kind.template} {kind.macro}_{what}"

        def write(text: str) -> fragments.Fragment:
            key = (name, text)
            return self._kept.get(key) or self._kept.add(key, self._encode(kind, what, text))

        return write

    def numbers_of(self, kind: CardKind) -> Callable[[int], fragments.Place]:
        """Return the function that gives at least the first so many numbers of this kind."""
        known: fragments.Place = []

        def numbers(count: int) -> fragments.Place:
            nonlocal known
            if count > len(known):
                # A new list each time: other threads read the one before.
                more = range(len(known) + 1, count + 1)
                known = [*known, *((self._encode(kind, "number", n), 0) for n in more)]
            return known

        return numbers

    def _encode(self, kind: CardKind, what: str, value: int | str) -> fragments.Fragment:
        module = vars(self._environment.get_template(kind.template).module)
        # An operator's own template need not have these macros.
        macro = module.get(f"{kind.macro}_{what}")
        # Headings are a subscriber's own words; only HTML is archived.
        is_shared = what != "heading" and not kind.is_text
        encode = fragments.encode_shared if is_shared else fragments.encode_private
        return encode(str(macro(value)) if macro else "")


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
    """Return the filter `section | html_cards(…)`: it leaves a slot, and the cards in `places`."""

    @pass_context
    def cards(context: Context, shown: Any, *options: Any) -> TextSlot:
        places: list[tuple[int, fragments.Place]] = context["places"]
        places.append(write(shown, options, sum(count for count, _ in places)))
        return card_slot(len(places) - 1)

    return cards


def card_slot(number: int) -> TextSlot:
    """Return the text that stands where the cards at `places[number]` go."""
    return TextSlot(f"{fragments.CARD_OPENS}{number}{fragments.CARD_ENDS}")
