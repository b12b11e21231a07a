"""Skeletons of cards: a paper's card is rendered and encoded once for all topics.

A topic adds to a paper its reasons, and whether its heading says them: its note. The ordinary macros
render a card with a symbolic note. What they write of the note alone, such as the line of reasons, is
made once per note; a text is written and encoded once, and words are marked in its octets.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
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
_MOST_FILLED_BYTES = 22_000_000
# Per generation: the notes of some thousand topics. Those of a mail are used for all its papers.
_MOST_NOTE_BYTES = 15_000_000
_NOTE_BYTES, _WANTED_BYTES = 450, 300
# What a template may ask of a note, and get as results, before its cards are rendered whole.
_MOST_QUESTIONS, _MOST_SHAPES, _MOST_SIGNATURES = 32, 128, 128


@dataclass(slots=True)
class _Note:
    """What a topic adds to its papers. `shape` stands for the answers to the first `known` questions.
    `reasons` and `is_said` are as in `DigestPaper`.

    `texts` are made of it alone, by the slots they fill; None where a card must be tidied with them.
    """

    reasons: tuple[Reason, ...]
    is_said: bool = False
    known: int = 0
    shape: int = 0
    texts: dict[int, tuple[CardText, ...] | None] = field(default_factory=dict)
    words: dict[int, WantedWords] = field(default_factory=dict)
    size: int = _NOTE_BYTES
    serial: int = field(default_factory=count().__next__)


class CardSkeletons:
    """The cards of one process. Filling changes nothing but caches: threads share it."""

    def __init__(self, environment: Environment, log_once: UnsupportedLog) -> None:
        self._environment = environment
        self._log = log_once
        self._cards: Generations[CardSkeleton | _Whole] = Generations(
            "paper cards", _MOST_CARD_BYTES, lambda card: card.size
        )
        self._segments: Generations[Segment] = Generations(
            "card segments", _MOST_SEGMENT_BYTES, lambda segment: segment.size
        )
        self._excerpts: Generations[ShownExcerpt] = Generations(
            "card excerpts", _MOST_EXCERPT_BYTES, lambda excerpt: excerpt.size
        )
        self._notes: Generations[_Note] = Generations(
            "topic notes", _MOST_NOTE_BYTES, lambda note: note.size
        )
        # By what is shown of the paper, how, and the serial number of the note.
        self._filled: Generations[FilledCard] = Generations(
            "filled cards", _MOST_FILLED_BYTES, lambda filled: filled.size
        )

    def placer(self, kind: CardKind, place_whole: PlaceCard) -> PlaceCard:
        """Return the function that places a card, by `place_whole` where no skeleton can hold it."""
        render = kind.macro_of(self._environment)
        name = f"{kind.template} {kind.macro}"
        part = slot_values.HTML_PART if is_escaped(kind.template) else slot_values.TEXT_PART
        caches = self._cards, self._segments, self._excerpts, self._notes, self._filled
        return _CardPlacer(kind, name, render, part.write, place_whole, *caches, self._log).place


class _Whole:
    """Marks a card that has no skeleton."""

    size = 900


_WHOLE = _Whole()


@dataclass(slots=True)
class _CardPlacer:
    """The cards of one kind. Questions, slots and words are numbered in the order they are met."""

    kind: CardKind
    name: str
    render: Callable[[DigestPaper, CardView], str]
    write: Callable[[Any], str]
    place_whole: PlaceCard
    cards: Generations[CardSkeleton | _Whole]
    segments: Generations[Segment]
    excerpts: Generations[ShownExcerpt]
    notes: Generations[_Note]
    filled: Generations[FilledCard]
    log: UnsupportedLog
    questions: dict[Hashable, symbolic.Ask] = field(default_factory=dict)
    shapes: dict[Hashable, int] = field(default_factory=dict)
    signatures: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    slots: dict[int, tuple[symbolic.Read, ...]] = field(default_factory=dict)
    wanted: dict[Hashable, int] = field(default_factory=dict)
    words: dict[int, symbolic.Read] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    latest: tuple[object, _Note] = (None, _Note(()))
    # A list of titles shows nothing of a topic.
    no_note: _Note = field(default_factory=lambda: _Note((), shape=-1))
    needs_notes: bool = False
    is_open: bool = True

    def place(self, entry: DigestPaper, view: CardView, topic: int, placed: Place) -> None:
        """Append the fragments of an entry's card."""
        if self.is_open:
            note = self._note(entry) if self.needs_notes else self.no_note
            filled = self.filled.get((self.name, entry.shown, view, note.serial))
            if filled is None:
                filled = self._fill(entry, view, note)
            if filled is not None:
                before = len(placed)
                placed += filled.texts
                for at in filled.with_topic:
                    placed[before + at] = (filled.texts[at][0], topic)
                return
        self.place_whole(entry, view, topic, placed)

    def _note(self, entry: DigestPaper) -> _Note:
        reasons, note = self.latest
        if (
            reasons is entry.reasons
            and note.is_said is entry.is_said
            and note.known == len(self.questions)
        ):
            # Papers of one topic follow each other and share these values.
            return note
        key = (self.name, entry.reasons, entry.is_said)
        found = self.notes.get(key)
        if found is None or found.known < len(self.questions):
            asks = list(self.questions.values())
            found = _Note(entry.reasons, entry.is_said, len(asks))
            # What a note has no answer to, its cards never ask, so a new question changes no shape.
            given = ((number, _answer(ask, found)) for number, ask in enumerate(asks))
            answers = tuple(each for each in given if each[1] is not None)
            found.shape = self.shapes.setdefault(answers, next(self.numbers))
            self.notes.add(key, found)
        self.latest = (entry.reasons, found)
        return found

    def _add(self, entry: DigestPaper, view: CardView) -> tuple[CardSkeleton | _Whole, _Note]:
        trace = symbolic.TemplateTrace(self._note(entry))
        card: CardSkeleton | _Whole = _WHOLE
        try:
            card = self._render(entry, view, trace)
        except Exception as error:  # noqa: BLE001 - the whole card does without, or names the fault
            self._report(f"{type(error).__name__}: {error}")
        self.questions |= {key: ask for key, (ask, _) in trace.questions.items()}
        self.needs_notes |= bool(trace.questions or trace.places)
        trace.forget()
        if (
            len(self.questions) > _MOST_QUESTIONS
            or len(self.shapes) > _MOST_SHAPES
            or len(self.slots) > _MOST_SIGNATURES
        ):
            self._report("it asks more of a topic's reasons than can be kept")
            self.is_open = False
        note = self._note(entry) if self.needs_notes else self.no_note
        self.cards.add((self.name, entry.shown, view, note.shape), card)
        return card, note

    def _report(self, reason: str) -> None:
        self.log.report(self.name, reason)

    def _render(
        self, entry: DigestPaper, view: CardView, trace: symbolic.TemplateTrace
    ) -> CardSkeleton:
        own = {name: symbolic.symbolic_path(trace, name) for name in ("reasons", "is_said")}
        written = self.render(replace(entry, **cast("Any", own)), view)
        pieces: list[Piece] = []
        parts: list[Segment | ShownExcerpt | None] = []
        slots: list[symbolic.SymbolicValue] = []
        for piece in split_slots(written, trace.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif marked := _marked_text(piece):
                pieces.append(self._marked_text(marked[0], self._number(marked[1])))
            else:
                parts.append(self._segment(pieces))
                pieces = []
                if call := excerpt_call(piece):
                    parts.append(self._excerpt(call))
                else:
                    parts.append(None)
                    slots.append(piece)
        parts.append(self._segment(pieces))
        return make_skeleton(parts, self._signature(slots))

    def _excerpt(self, call: ExcerptCall) -> ShownExcerpt:
        """Return the excerpt of a card, one value for all that show it."""
        paper, excerpts = call.paper, call.excerpts
        number = None if call.words is None else self._number(call.words)
        quoted_number = self._number(call.quoted)
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
        known = self.excerpts.get(key)
        if known is not None:
            return known

        def make(quoted: Quoted) -> tuple[Segment, ...]:
            if number is not None:
                return tuple([sentence(which, number) for which in excerpts.lay_out(quoted)])
            text = self.write(wrap_excerpt(paper, excerpts.show(quoted)))
            # It follows other lines, so its first one may begin with a space, as "From" does.
            if not self._is_whole(f".\n{text}"):
                raise CannotShare
            return (self._grown(make_segment([text])),)

        sentences: dict[int | str, Segment] = {}

        def sentence(which: int | str, number: int) -> Segment:
            if which not in sentences:
                piece: Piece = (
                    self.write(which)
                    if isinstance(which, str)
                    else self._marked_text(excerpts.pieces[which], number)
                )
                sentences[which] = self._grown(make_segment([piece]))
            return sentences[which]

        numbers = (quoted_number,) if number is None else (quoted_number, number)
        shown = ShownExcerpt(excerpts, numbers, make)
        if not shown.segments(()):
            raise CannotShare("an excerpt that the whole card would be tidied for")
        return self.excerpts.add(key, shown)

    def _segment(self, pieces: Sequence[Piece]) -> Segment:
        """Return the segment of these pieces, one value for all forms of a card."""
        key = tuple([one if isinstance(one, str) else (one.written, one.number) for one in pieces])
        known = self.segments.get(key)
        return known or self.segments.add(key, make_segment(pieces))

    def _grown(self, segment: Segment) -> Segment:
        self.excerpts.grow(segment.size)
        return segment

    def _number(self, words: symbolic.SymbolicValue) -> int:
        spec = symbolic.spec_of(words)
        number = self.wanted.setdefault(spec.key, next(self.numbers))
        self.words[number] = spec.read
        return number

    def _marked_text(self, text: str, number: int) -> MarkedText:
        marked = read_marked(text, number, self.write)
        if marked is None or not self._is_whole(marked.written):
            raise CannotShare("a marked text that the whole card would be tidied for")
        return marked

    def _signature(self, slots: Sequence[symbolic.SymbolicValue]) -> int:
        specs = [symbolic.spec_of(slot) for slot in slots]
        keys = tuple(spec.key for spec in specs)
        number = self.signatures.setdefault(keys, next(self.numbers))
        self.slots[number] = tuple(spec.read for spec in specs)
        return number

    def _fill(self, entry: DigestPaper, view: CardView, note: _Note) -> FilledCard | None:
        """Return a card with the texts of its note; None where that cannot be done."""
        card = self.cards.get((self.name, entry.shown, view, note.shape))
        if card is None:
            card, note = self._add(entry, view)
        if not isinstance(card, CardSkeleton):
            return None
        if card.signature not in note.texts:
            made = note.texts[card.signature] = self._texts(card.signature, note)
            self._grow(note, sum(fragment.size for fragment, _ in made or ()))
        for number in card.numbers:
            if number not in note.words:
                note.words[number] = look_for(tuple(self.words[number](note)))
                self._grow(note, _WANTED_BYTES)
        own = note.texts[card.signature]
        filled = None if own is None else card.fill(own, note.words)
        if filled is not None:
            self.filled.add((self.name, entry.shown, view, note.serial), filled)
        return filled

    def _grow(self, note: _Note, size: int) -> None:
        note.size += size
        self.notes.grow(size)

    def _texts(self, signature: int, note: _Note) -> tuple[CardText, ...] | None:
        texts = [self.write(read(note)) for read in self.slots[signature]]
        if not all(map(self._is_whole, texts)):
            return None
        return tuple(card_text(encode_private(text)) for text in texts)

    def _is_whole(self, text: str) -> bool:
        """Whether tidying the whole card would leave this text as it is."""
        if not text or text[0].isspace() or text[-1].isspace():
            return False
        return text.isprintable() or self.kind.tidy(text) == f"{text}\n"


def _answer(ask: symbolic.Ask, note: _Note) -> Hashable:
    """Return what a note answers; None for a question about a part that it does not have."""
    try:
        return ask(note)
    except Exception:  # noqa: BLE001 - such as the second reason of a note that has one
        return None


def _marked_text(value: symbolic.SymbolicValue) -> tuple[str, symbolic.SymbolicValue] | None:
    """Return the text and the words of a slot for `text | mark(words)`."""
    match symbolic.spec_of(value).call:
        case (function, (str() as text, symbolic.SymbolicValue() as words)) if function is mark:
            return text, words
    return None
