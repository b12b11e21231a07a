"""Cards: what a mail shows of one paper, written by a macro of a template."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestPaper, DigestSection
from service.messages.rendering import fragments
from service.messages.rendering.slots import TextSlot
from service.messages.rendering.text_part import trim
from service.platform.caches import SizedCache

# A card takes about 4 kB with its wire form.
_MOST_CARD_BYTES = 48_000_000
_KEY_BYTES = 1_000
_MOST_OPENINGS = 4_096

# The encoded text of a card or of a piece of it, and whether it differs from topic to topic. Where it
# does not, it is placed as it is: False is the topic 0.
CardText: TypeAlias = tuple[fragments.Fragment, bool]
# How entries are shown: whether they have a topic, and the macro's own options.
CardView: TypeAlias = tuple[Any, ...]
# What stands before a card.
Opening: TypeAlias = tuple[fragments.Fragment, int]
# Appends the fragments of entries, each after its opening; the number is the id of their topic.
PlaceCards: TypeAlias = Callable[
    [Sequence[DigestPaper], Sequence[Opening], CardView, int, fragments.Place], None
]
# Appends the fragments of a section's heading.
PlaceHeading: TypeAlias = Callable[[DigestSection, fragments.Place], None]
# A section, or several; the macro's options; how many papers were numbered before. Returns how many
# entries there are, and their fragments.
WriteCards: TypeAlias = Callable[[Any, tuple[Any, ...], int], tuple[int, fragments.Place]]


@dataclass(frozen=True, slots=True)
class CardKind:
    """Cards of one macro of a template.

    The macro `…_number` of the template writes what is before each card, `…_code` the name of a new
    category before the first. `has_headings`: cards of several sections, and `…_heading` writes the
    title of each.
    """

    template: str
    macro: str
    has_headings: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it writes lines of the text part."""
        return self.template.endswith(".txt")

    def macro_of(self, environment: Environment) -> Callable[[DigestPaper, CardView], str]:
        """Return a function that renders an entry by the macro."""
        macro = vars(environment.get_template(self.template).module)[self.macro]

        def render(entry: DigestPaper, view: CardView) -> str:
            has_topic, *options = view
            return self.tidy(macro(entry, *options, has_topic=has_topic))

        return render

    def opening_of(self, environment: Environment, what: str) -> Callable[..., str]:
        """Return the macro for what stands before cards; an operator's template need not have it."""
        macro = vars(environment.get_template(self.template).module).get(f"{self.macro}_{what}")
        return macro or (lambda *_: "")

    def tidy(self, text: str) -> str:
        """Drop empty lines, the first line's indent, and blanks at the ends of lines."""
        strip = trim if self.is_text else str.rstrip
        return "\n".join([*filter(None, map(strip, text.splitlines())), ""]).lstrip()

    def writer(
        self, place: PlaceCards, openings: Openings, place_heading: PlaceHeading
    ) -> WriteCards:
        """Return a function that places the cards of a section, or of several with headings."""
        numbers, codes = openings.numbers(self), openings.of(self, "code")

        def add(
            section: DigestSection, options: tuple[Any, ...], number: int, placed: fragments.Place
        ) -> None:
            topic, papers = section.topic_id, section.papers
            last = len(section.codes) - 1
            for at, code in enumerate(section.codes):
                placed.append(codes(code, at == 0, at == last))
            place(papers, numbers(number, len(papers)), (topic > 0, *options), topic, placed)

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
                place_heading(section, placed)
                add(section, options, number + count, placed)
                count += len(section.papers)
            return count, placed

        return write_all if self.has_headings else write


class Openings:
    """What stands before cards: numbers and names of categories, written by macros and encoded once."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def of(self, kind: CardKind, what: str) -> Callable[..., Opening]:
        """Return the function that writes numbers or codes for cards of this kind."""
        macro = kind.opening_of(self._environment, what)
        # Only HTML is archived.
        encode = fragments.encode_private if kind.is_text else fragments.encode_shared
        # There are some hundred categories, and hardly more papers in a mail.
        known: dict[Hashable, Opening] = {}

        def write(*values: Hashable) -> Opening:
            found = known.get(values)
            if found is None:
                found = (encode(macro(*values)), 0)
                if len(known) < _MOST_OPENINGS:
                    known[values] = found
            return found

        return write

    def numbers(self, kind: CardKind) -> Callable[[int, int], Sequence[Opening]]:
        """Return the function that numbers so many cards of a section after so many before it."""
        write = self.of(kind, "number")
        known: dict[tuple[int, int], Sequence[Opening]] = {}

        def number(before: int, count: int) -> Sequence[Opening]:
            found = known.get((before, count))
            if found is None:
                found = tuple([write(before + at + 1, at == 0) for at in range(count)])
                if len(known) < _MOST_OPENINGS:
                    known[before, count] = found
            return found

        return number

    def place_heading(self, kind: CardKind) -> PlaceHeading:
        """Return the function that writes a section's heading, which is a subscriber's own words."""
        macro = kind.opening_of(self._environment, "heading")

        def place(section: DigestSection, placed: fragments.Place) -> None:
            placed.append((fragments.encode_private(macro(section.title)), 0))

        return place


class WholeCards:
    """Cards rendered whole by their macro, for each entry as it is."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._kept: SizedCache[CardText] = SizedCache(
            "whole cards", _MOST_CARD_BYTES, lambda card: card[0].size + _KEY_BYTES
        )

    def placer(self, kind: CardKind) -> PlaceCards:
        """Return the function that places cards of this kind."""
        render = kind.macro_of(self._environment)

        def place(
            entries: Sequence[DigestPaper],
            openings: Sequence[Opening],
            view: CardView,
            topic: int,
            placed: fragments.Place,
        ) -> None:
            for entry, opening in zip(entries, openings, strict=True):
                key = (kind, entry, view)
                text, has_topic = self._kept.get(key) or self._kept.add(
                    key, card_text(fragments.encode_shared(render(entry, view)))
                )
                placed += (opening, (text, topic if has_topic else 0))

        return place


def card_text(fragment: fragments.Fragment) -> CardText:
    return fragment, fragment.has_topic


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
