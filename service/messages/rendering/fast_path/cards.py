"""Skeletons of cards: a paper's card is rendered and encoded once for all topics.

A topic adds to a paper its reasons, and whether its heading says them: its note. The ordinary macros
render a card with symbolic reasons. What they write of these alone, such as the line of reasons, is
made once per note; a text is written and encoded once, and words are marked in its octets.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeAlias, cast

from jinja2 import Environment

from service.messages.contexts.digest import DigestPaper, ShownPaper
from service.messages.rendering.environment import is_escaped
from service.messages.rendering.fast_path import slot_values, symbolic
from service.messages.rendering.fast_path.card_skeletons import (
    CardShape,
    CardSkeleton,
    FilledCard,
    make_skeleton,
)
from service.messages.rendering.fast_path.quoting import ExcerptCall, ShownExcerpt, excerpt_call
from service.messages.rendering.fast_path.segments import (
    SHORT,
    MarkedText,
    Piece,
    Segment,
    make_segment,
    read_marked,
)
from service.messages.rendering.fast_path.skeletons import UnsupportedLog, split_slots
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.fragments import TOPIC, Place, encode_private
from service.messages.rendering.paper_cards import (
    CardKind,
    CardText,
    CardView,
    Opening,
    PlaceCards,
    card_text,
)
from service.messages.rendering.text_part import wrap_excerpt
from service.platform.caches import SizedCache
from service.presentation.excerpts import Quoted
from service.presentation.highlight import WantedWords, WordPlaces, look_for, mark, words_of
from service.topics.domain.types import Reason

# The cards of four days of 1,500 papers in both parts, each in some forms; what they share of titles,
# bylines and links; the sentences of the abstracts of two days.
_MOST_CARD_BYTES, _MOST_SEGMENT_BYTES, _MOST_EXCERPT_BYTES = 40_000_000, 40_000_000, 60_000_000
# The notes of ten thousand topics with their cards, which subscribers share.
_MOST_NOTE_BYTES = 90_000_000
# Of the cards of one note. One such as "it is in Machine Learning" lasts for years.
_MOST_CARDS_BYTES = 2_000_000
_NOTE_BYTES, _WANTED_BYTES = 700, 300
# A few forms of four kinds of cards; an operator's templates may have more.
_MOST_SHAPES = 64
# What a template may ask of a note, as a bit of a form.
_ASKS_REASONS, _ASKS_HEADING = 1, 2
_QUESTIONS: dict[Hashable, int] = {
    ("reasons", "bool"): _ASKS_REASONS,
    ("is_in_heading", "bool"): _ASKS_HEADING,
}
# What templates may write of a note before their cards are rendered whole.
_MOST_SIGNATURES = 128


@dataclass(slots=True)
class _Note:
    """What a topic adds to its papers, as in `DigestPaper`. `form` has the answers to what templates may
    ask of it.

    `texts` are made of it alone, by the slots they fill; None where a card must be tidied with them.
    `cards` are those of papers with its texts and marks.
    """

    reasons: tuple[Reason, ...]
    is_in_heading: bool
    form: int
    texts: dict[int, tuple[CardText, ...] | None] = field(default_factory=dict)
    words: dict[int, WantedWords] = field(default_factory=dict)
    cards: dict[ShownPaper, FilledCard] = field(default_factory=dict)
    size: int = _NOTE_BYTES
    cards_size: int = 0


class CardSkeletons:
    """The cards of one process. Filling changes nothing but caches: threads share it.

    Signatures of slots, and words, are numbered in the order they are met, for all kinds of cards.
    """

    def __init__(self, environment: Environment, log_once: UnsupportedLog) -> None:
        self._environment = environment
        self.log = log_once
        self.cards: SizedCache[CardSkeleton | _Whole] = SizedCache(
            "paper cards", _MOST_CARD_BYTES, lambda card: card.size
        )
        self.segments: SizedCache[Segment] = SizedCache(
            "card segments", _MOST_SEGMENT_BYTES, lambda segment: segment.size
        )
        self.excerpts: SizedCache[ShownExcerpt] = SizedCache(
            "card excerpts", _MOST_EXCERPT_BYTES, lambda excerpt: excerpt.size
        )
        self.notes: SizedCache[_Note] = SizedCache(
            "topic notes", _MOST_NOTE_BYTES, lambda note: note.size
        )
        self.signatures: dict[tuple[Hashable, ...], int] = {}
        self.slots: dict[int, tuple[tuple[str, symbolic.Read], ...]] = {}
        self.words: dict[int, symbolic.Read] = {}
        self._wanted: dict[Hashable, int] = {}
        self._numbers = count()
        self._shapes: dict[CardShape, CardShape] = {}
        # What the cards of a shape have asked. A card's skeleton is for all notes with the same answers:
        # the key has only these, also when other papers' cards ask more later.
        self.questions: dict[CardShape, int] = {}

    def placer(self, kind: CardKind, place_whole: PlaceCards) -> PlaceCards:
        """Return the function that places cards, by `place_whole` where no skeleton can hold one."""
        render = kind.macro_of(self._environment)
        name = f"{kind.template} {kind.macro}"
        part = slot_values.HTML_PART if is_escaped(kind.template) else slot_values.TEXT_PART
        return _CardPlacer(self, kind, name, render, part, place_whole).place

    def note(self, entry: DigestPaper) -> _Note:
        """Return what a topic adds to an entry, one value for equal ones."""
        key = (entry.reasons, entry.is_in_heading)
        form = _ASKS_REASONS * bool(entry.reasons) + _ASKS_HEADING * entry.is_in_heading
        return self.notes.get(key) or self.notes.add(key, _Note(*key, form))

    def shape(self, name: str, view: CardView) -> CardShape:
        """Return one value for equal shapes."""
        shape = (name, view)
        if len(self._shapes) < _MOST_SHAPES:
            return self._shapes.setdefault(shape, shape)
        return self._shapes.get(shape, shape)

    def keep(self, note: _Note, shown: ShownPaper, card: FilledCard, size: int) -> None:
        """Keep a card of a note."""
        if note.cards_size + size > _MOST_CARDS_BYTES:
            note.cards, note.size, note.cards_size = {}, note.size - note.cards_size, 0
        note.cards[shown] = card
        note.cards_size += size
        self.grow(note, size)

    def number_words(self, words: symbolic.SymbolicValue) -> int:
        """Return the number of words that a template takes from notes."""
        spec = symbolic.spec_of(words)
        number = self._wanted.setdefault(spec.key, next(self._numbers))
        self.words[number] = spec.read
        return number

    def number_slots(self, part: str, slots: Sequence[_Slot]) -> int:
        """Return the number of what a template writes of notes alone in a part."""
        specs = [(before, symbolic.spec_of(slot)) for before, slot in slots]
        keys = (part, *((before, spec.key) for before, spec in specs))
        number = self.signatures.setdefault(keys, next(self._numbers))
        self.slots[number] = tuple((before, spec.read) for before, spec in specs)
        return number

    def grow(self, note: _Note, size: int) -> None:
        """Count bytes that a note has gained."""
        note.size += size
        self.notes.grow(size)


class _Whole:
    """Marks a card that has no skeleton."""

    size = 900


_WHOLE = _Whole()
# A slot for what is written of notes alone, and the short text before it.
_Slot: TypeAlias = tuple[str, symbolic.SymbolicValue]


@dataclass(slots=True)
class _CardPlacer:
    """The cards of one kind."""

    kept: CardSkeletons
    kind: CardKind
    name: str
    render: Callable[[DigestPaper, CardView], str]
    part: slot_values.PartKind
    place_whole: PlaceCards

    def place(
        self,
        entries: Sequence[DigestPaper],
        openings: Sequence[Opening],
        view: CardView,
        topic: int,
        placed: Place,
    ) -> None:
        """Append the fragments of the entries' cards."""
        kept = self.kept
        shape = kept.shape(self.name, view)
        latest: DigestPaper | None = None
        for entry, opening in zip(entries, openings, strict=True):
            if (
                latest is None
                or latest.reasons is not entry.reasons
                or latest.is_in_heading is not entry.is_in_heading
            ):
                # Papers of one topic follow each other and mostly share these values.
                note, latest = kept.note(entry), entry
            card = note.cards.get(entry.shown)
            while card is not None and card.shape != shape:
                card = card.next
            if card is None:
                card = self._fill(entry, shape, note)
                if card is None:
                    self.place_whole((entry,), (opening,), view, topic, placed)
                    continue
            placed.append(opening)
            placed += card.texts
            for at in card.with_topic:
                placed[at] = (placed[at][0], topic)

    def _fill(self, entry: DigestPaper, shape: CardShape, note: _Note) -> FilledCard | None:
        """Return a card with the texts of its note, and keep it; None where that cannot be done."""
        kept, shown = self.kept, entry.shown
        skeleton = kept.cards.get((shape, shown, note.form & kept.questions.get(shape, 0)))
        if skeleton is None:
            skeleton = self._skeleton(entry, shape, note)
            kept.cards.add((shape, shown, note.form & kept.questions[shape]), skeleton)
        if not isinstance(skeleton, CardSkeleton):
            return None
        if skeleton.signature not in note.texts:
            made = note.texts[skeleton.signature] = self._texts(skeleton.signature, note)
            kept.grow(note, sum(fragment.size for fragment, _ in made or ()))
        for number in skeleton.numbers:
            if number not in note.words:
                note.words[number] = look_for(tuple(kept.words[number](note)))
                kept.grow(note, _WANTED_BYTES)
        own = note.texts[skeleton.signature]
        filled = None if own is None else skeleton.fill(own, note.words)
        if filled is None:
            return None
        texts, size = filled
        card = FilledCard(texts, skeleton.with_topic, shape, note.cards.get(shown))
        kept.keep(note, shown, card, size)
        return card

    def _skeleton(self, entry: DigestPaper, shape: CardShape, note: _Note) -> CardSkeleton | _Whole:
        trace = symbolic.TemplateTrace(note)
        try:
            card = self._render(entry, shape[1], trace)
            if trace.questions.keys() - _QUESTIONS.keys():
                raise CannotShare("it asks about a topic's reasons")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the whole card does without, or names the fault
            self.kept.log.report(self.name, f"{type(error).__name__}: {error}")
            return _WHOLE
        finally:
            bits = sum(bit for question, bit in _QUESTIONS.items() if question in trace.questions)
            self.kept.questions[shape] = self.kept.questions.get(shape, 0) | bits
            trace.forget()
        if len(self.kept.slots) > _MOST_SIGNATURES:
            self.kept.log.report(self.name, "it writes more of a topic's reasons than can be kept")
            return _WHOLE
        return card

    def _render(
        self, entry: DigestPaper, view: CardView, trace: symbolic.TemplateTrace
    ) -> CardSkeleton:
        symbolic_entry = entry._replace(
            reasons=cast("Any", symbolic.symbolic_path(trace, "reasons")),
            is_in_heading=cast("Any", symbolic.symbolic_path(trace, "is_in_heading")),
        )
        written = self.render(symbolic_entry, view)
        pieces: list[Piece] = []
        parts: list[Segment | ShownExcerpt | None] = []
        slots: list[_Slot] = []
        for piece in split_slots(written, trace.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif marked := _marked_text(piece):
                words = words_of(marked[0])
                text = self._marked_text(marked[0], self.kept.number_words(marked[1]), words.spans)
                pieces.append(replace(text, words=words))
            elif call := excerpt_call(piece):
                parts += (self._segment(pieces), self._excerpt(call))
                pieces = []
            else:
                before = _short_text(pieces)
                if before is None:
                    parts.append(self._segment(pieces))
                parts.append(None)
                slots.append((before or "", piece))
                pieces = []
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
        marked: dict[int, MarkedText] = {}

        def piece(which: int | str) -> Piece:
            if isinstance(which, str):
                return self.part.write(which)
            if which not in marked:
                # Its words are those of the abstract, which all excerpts share.
                marked[which] = self._marked_text(
                    excerpts.pieces[which], number or 0, excerpts.places_in(which)
                )
            return marked[which]

        def make(quoted: Quoted) -> Segment:
            if number is not None:
                shown_words = number, excerpts.shown_words(quoted)
                pieces = [piece(which) for which in excerpts.lay_out(quoted)]
                return make_segment(pieces, shown_words)
            text = self.part.write(wrap_excerpt(paper, excerpts.show(quoted)))
            # It follows other lines, so its first one may begin with a space, as "From" does.
            if not self._is_whole(f".\n{text}"):
                raise CannotShare
            return make_segment([text])

        numbers = (quoted_number,) if number is None else (quoted_number, number)
        kept = self.kept.excerpts
        shown = kept.get(key) or kept.add(key, ShownExcerpt(excerpts, numbers, make, kept.grow))
        if shown.segment(()) is None:
            raise CannotShare("an excerpt that the whole card would be tidied for")
        return shown

    def _segment(self, pieces: Sequence[Piece]) -> Segment:
        """Return the segment of these pieces, one value for all forms of a card."""
        key = tuple([one if isinstance(one, str) else (one.written, one.number) for one in pieces])
        known = self.kept.segments.get(key)
        return known or self.kept.segments.add(key, make_segment(pieces))

    def _marked_text(self, text: str, number: int, spans: WordPlaces) -> MarkedText:
        marked = read_marked(text, number, self.part.write, spans)
        if marked is None or not self._is_whole(marked.written):
            raise CannotShare("a marked text that the whole card would be tidied for")
        return marked

    def _texts(self, signature: int, note: _Note) -> tuple[CardText, ...] | None:
        made: list[CardText] = []
        for before, read in self.kept.slots[signature]:
            text = self.part.write(read(note))
            if not self._is_whole(text):
                return None
            made.append(card_text(encode_private(before + text)))
        return None if any(has_topic for _, has_topic in made) else tuple(made)

    def _is_whole(self, text: str) -> bool:
        """Whether tidying the whole card would leave this text as it is."""
        if not text or text[0].isspace() or text[-1].isspace():
            return False
        return text.isprintable() or self.kind.tidy(text) == f"{text}\n"


def _short_text(pieces: Sequence[Piece]) -> str | None:
    """Return the text of these pieces where it costs least as part of the slot that follows."""
    texts = [piece for piece in pieces if isinstance(piece, str)]
    text = "".join(texts)
    is_short = len(texts) == len(pieces) and len(text) < SHORT
    return text if is_short and TOPIC not in text else None


def _marked_text(value: symbolic.SymbolicValue) -> tuple[str, symbolic.SymbolicValue] | None:
    """Return the text and the words of a slot for `text | mark(words)`."""
    match symbolic.spec_of(value).call:
        case (function, (str() as text, symbolic.SymbolicValue() as words)) if function is mark:
            return text, words
    return None
