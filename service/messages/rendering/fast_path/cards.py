"""Skeletons of cards: a paper's card is rendered and encoded once for all topics.

A topic adds to a paper its reasons, and whether its heading says them: its note. The ordinary macros
render a card with symbolic reasons. What they write of these alone, such as the line of reasons, is
made once per note; a text is written and encoded once, and words are marked in its octets.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

from jinja2 import Environment

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.environment import is_escaped
from service.messages.rendering.fast_path import slot_values, symbolic
from service.messages.rendering.fast_path.card_skeletons import (
    CardSkeleton,
    FilledCard,
    make_skeleton,
)
from service.messages.rendering.fast_path.quoting import ExcerptCall, ShownExcerpt, excerpt_call
from service.messages.rendering.fast_path.segments import (
    MarkedText,
    Piece,
    Segment,
    make_segment,
    read_marked,
)
from service.messages.rendering.fast_path.skeletons import UnsupportedLog, split_slots
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.fragments import Place, encode_private
from service.messages.rendering.paper_cards import (
    CardKind,
    CardText,
    CardView,
    PlaceCard,
    card_text,
)
from service.messages.rendering.text_part import wrap_excerpt
from service.platform.caches import Generations
from service.presentation.excerpts import Quoted
from service.presentation.highlight import WantedWords, look_for, mark
from service.topics.domain.types import Reason

# Per generation: the cards of a day of 1,500 papers in both parts, each in some forms; what they share of
# titles, bylines and links; the sentences of their abstracts.
_MOST_CARD_BYTES, _MOST_SEGMENT_BYTES, _MOST_EXCERPT_BYTES = 20_000_000, 20_000_000, 30_000_000
# Per generation: the cards of a topic, which its subscribers share, with the texts in which it marks words.
_MOST_FILLED_BYTES = 16_000_000
# Per generation: the notes of some thousand topics. Those of a mail are used for all its papers.
_MOST_NOTE_BYTES = 8_000_000
_NOTE_BYTES, _WANTED_BYTES = 450, 300
# What templates may write of a note before their cards are rendered whole.
_MOST_SIGNATURES = 128


@dataclass(slots=True)
class _Note:
    """What a topic adds to its papers, as in `DigestPaper`. `form` tells cards apart that show other
    parts of it.

    `texts` are made of it alone, by the slots they fill; None where a card must be tidied with them.
    """

    reasons: tuple[Reason, ...]
    is_in_heading: bool
    form: int
    texts: dict[int, tuple[CardText, ...] | None] = field(default_factory=dict)
    words: dict[int, WantedWords] = field(default_factory=dict)
    size: int = _NOTE_BYTES
    serial: int = field(default_factory=count().__next__)


class CardSkeletons:
    """The cards of one process. Filling changes nothing but caches: threads share it.

    Signatures of slots, and words, are numbered in the order they are met, for all kinds of cards.
    """

    def __init__(self, environment: Environment, log_once: UnsupportedLog) -> None:
        self._environment = environment
        self.log = log_once
        self.cards: Generations[CardSkeleton | _Whole] = Generations(
            "paper cards", _MOST_CARD_BYTES, lambda card: card.size
        )
        self.segments: Generations[Segment] = Generations(
            "card segments", _MOST_SEGMENT_BYTES, lambda segment: segment.size
        )
        self.excerpts: Generations[ShownExcerpt] = Generations(
            "card excerpts", _MOST_EXCERPT_BYTES, lambda excerpt: excerpt.size
        )
        self.notes: Generations[_Note] = Generations(
            "topic notes", _MOST_NOTE_BYTES, lambda note: note.size
        )
        # By what is shown of the paper, how, and the serial number of the note.
        self.filled: Generations[FilledCard] = Generations(
            "filled cards", _MOST_FILLED_BYTES, lambda filled: filled.size
        )
        self.signatures: dict[tuple[Hashable, ...], int] = {}
        self.slots: dict[int, tuple[symbolic.Read, ...]] = {}
        self.words: dict[int, symbolic.Read] = {}
        self._wanted: dict[Hashable, int] = {}
        self._numbers = count()
        self._latest = _Note((), False, 0)

    def placer(self, kind: CardKind, place_whole: PlaceCard) -> PlaceCard:
        """Return the function that places a card, by `place_whole` where no skeleton can hold it."""
        render = kind.macro_of(self._environment)
        name = f"{kind.template} {kind.macro}"
        part = slot_values.HTML_PART if is_escaped(kind.template) else slot_values.TEXT_PART
        return _CardPlacer(self, kind, name, render, part, place_whole).place

    def note(self, entry: DigestPaper) -> _Note:
        """Return what a topic adds to an entry, one value for equal ones."""
        note = self._latest
        if note.reasons is entry.reasons and note.is_in_heading is entry.is_in_heading:
            # Papers of one topic follow each other and share these values.
            return note
        key = (entry.reasons, entry.is_in_heading)
        found = self.notes.get(key)
        if found is None:
            found = self.notes.add(key, _Note(*key, bool(entry.reasons) + 2 * entry.is_in_heading))
        self._latest = found
        return found

    def number_words(self, words: symbolic.SymbolicValue) -> int:
        """Return the number of words that a template takes from notes."""
        spec = symbolic.spec_of(words)
        number = self._wanted.setdefault(spec.key, next(self._numbers))
        self.words[number] = spec.read
        return number

    def number_slots(self, part: str, slots: Sequence[symbolic.SymbolicValue]) -> int:
        """Return the number of what a template writes of notes alone in a part."""
        specs = [symbolic.spec_of(slot) for slot in slots]
        keys = (part, *(spec.key for spec in specs))
        number = self.signatures.setdefault(keys, next(self._numbers))
        self.slots[number] = tuple(spec.read for spec in specs)
        return number

    def grow(self, note: _Note, size: int) -> None:
        """Count bytes that a note has gained."""
        note.size += size
        self.notes.grow(size)


class _Whole:
    """Marks a card that has no skeleton."""

    size = 900


_WHOLE = _Whole()


@dataclass(slots=True)
class _CardPlacer:
    """The cards of one kind."""

    kept: CardSkeletons
    kind: CardKind
    name: str
    render: Callable[[DigestPaper, CardView], str]
    part: slot_values.PartKind
    place_whole: PlaceCard

    def place(self, entry: DigestPaper, view: CardView, topic: int, placed: Place) -> None:
        """Append the fragments of an entry's card."""
        kept = self.kept
        note = kept.note(entry)
        key = (self.name, entry.shown, view, note.serial)
        filled = kept.filled.get(key)
        if filled is None:
            filled = self._fill(entry, view, note)
            if filled is None:
                self.place_whole(entry, view, topic, placed)
                return
            kept.filled.add(key, filled)
        placed += filled.texts
        for at in filled.with_topic:
            placed[at] = (placed[at][0], topic)

    def _fill(self, entry: DigestPaper, view: CardView, note: _Note) -> FilledCard | None:
        """Return a card with the texts of its note; None where that cannot be done."""
        kept = self.kept
        key = (self.name, entry.shown, view, note.form)
        card = kept.cards.get(key) or kept.cards.add(key, self._skeleton(entry, view, note))
        if not isinstance(card, CardSkeleton):
            return None
        if card.signature not in note.texts:
            made = note.texts[card.signature] = self._texts(card.signature, note)
            kept.grow(note, sum(fragment.size for fragment, _ in made or ()))
        for number in card.numbers:
            if number not in note.words:
                note.words[number] = look_for(tuple(kept.words[number](note)))
                kept.grow(note, _WANTED_BYTES)
        own = note.texts[card.signature]
        return None if own is None else card.fill(own, note.words)

    def _skeleton(self, entry: DigestPaper, view: CardView, note: _Note) -> CardSkeleton | _Whole:
        trace = symbolic.TemplateTrace(note)
        try:
            card = self._render(entry, view, trace)
            # Cards with reasons and without are told apart by their form.
            if trace.questions.keys() - {("reasons", "bool")}:
                raise CannotShare("it asks about a topic's reasons")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the whole card does without, or names the fault
            self.kept.log.report(self.name, f"{type(error).__name__}: {error}")
            return _WHOLE
        finally:
            trace.forget()
        if len(self.kept.slots) > _MOST_SIGNATURES:
            self.kept.log.report(self.name, "it writes more of a topic's reasons than can be kept")
            return _WHOLE
        return card

    def _render(
        self, entry: DigestPaper, view: CardView, trace: symbolic.TemplateTrace
    ) -> CardSkeleton:
        reasons = cast("Any", symbolic.symbolic_path(trace, "reasons"))
        written = self.render(replace(entry, reasons=reasons), view)
        pieces: list[Piece] = []
        parts: list[Segment | ShownExcerpt | None] = []
        slots: list[symbolic.SymbolicValue] = []
        for piece in split_slots(written, trace.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif marked := _marked_text(piece):
                pieces.append(self._marked_text(marked[0], self.kept.number_words(marked[1])))
            else:
                parts.append(self._segment(pieces))
                pieces = []
                if call := excerpt_call(piece):
                    parts.append(self._excerpt(call))
                else:
                    parts.append(None)
                    slots.append(piece)
        parts.append(self._segment(pieces))
        return make_skeleton(parts, self.kept.number_slots(self.part.name, slots))

    def _excerpt(self, call: ExcerptCall) -> ShownExcerpt:
        """Return the excerpt of a card, one value for all that show it."""
        paper, excerpts = call.paper, call.excerpts
        number = None if call.words is None else self.kept.number_words(call.words)
        quoted_number = self.kept.number_words(call.quoted)
        text = paper.summary or paper.abstract
        key = (
            self.name,
            paper.title,
            text,
            bool(paper.summary),
            excerpts.limit,
            quoted_number,
            number,
        )
        known = self.kept.excerpts.get(key)
        if known is not None:
            return known

        marked: dict[int, MarkedText] = {}

        def piece(which: int | str) -> Piece:
            if isinstance(which, str):
                return self.part.write(which)
            if which not in marked:
                # Its words are those of the abstract, which all excerpts share.
                text = self._marked_text(excerpts.pieces[which], number or 0)
                marked[which] = replace(text, words=None)
            return marked[which]

        def make(quoted: Quoted) -> Segment:
            if number is not None:
                shown_words = number, excerpts.shown_words(quoted)
                pieces = [piece(which) for which in excerpts.lay_out(quoted)]
                segment = make_segment(pieces, shown_words)
            else:
                text = self.part.write(wrap_excerpt(paper, excerpts.show(quoted)))
                # It follows other lines, so its first one may begin with a space, as "From" does.
                if not self._is_whole(f".\n{text}"):
                    raise CannotShare
                segment = make_segment([text])
            self.kept.excerpts.grow(segment.size)
            return segment

        numbers = (quoted_number,) if number is None else (quoted_number, number)
        shown = ShownExcerpt(excerpts, numbers, make)
        if shown.segment(()) is None:
            raise CannotShare("an excerpt that the whole card would be tidied for")
        return self.kept.excerpts.add(key, shown)

    def _segment(self, pieces: Sequence[Piece]) -> Segment:
        """Return the segment of these pieces, one value for all forms of a card."""
        key = tuple([one if isinstance(one, str) else (one.written, one.number) for one in pieces])
        known = self.kept.segments.get(key)
        return known or self.kept.segments.add(key, make_segment(pieces))

    def _marked_text(self, text: str, number: int) -> MarkedText:
        marked = read_marked(text, number, self.part.write)
        if marked is None or not self._is_whole(marked.written):
            raise CannotShare("a marked text that the whole card would be tidied for")
        return marked

    def _texts(self, signature: int, note: _Note) -> tuple[CardText, ...] | None:
        texts = [self.part.write(read(note)) for read in self.kept.slots[signature]]
        if not all(map(self._is_whole, texts)):
            return None
        made = tuple([card_text(encode_private(text)) for text in texts])
        return None if any(has_topic for _, has_topic in made) else made

    def _is_whole(self, text: str) -> bool:
        """Whether tidying the whole card would leave this text as it is."""
        if not text or text[0].isspace() or text[-1].isspace():
            return False
        return text.isprintable() or self.kind.tidy(text) == f"{text}\n"


def _marked_text(value: symbolic.SymbolicValue) -> tuple[str, symbolic.SymbolicValue] | None:
    """Return the text and the words of a slot for `text | mark(words)`."""
    match symbolic.spec_of(value).call:
        case (function, (str() as text, symbolic.SymbolicValue() as words)) if function is mark:
            return text, words
    return None
