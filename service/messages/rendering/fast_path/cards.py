"""Skeletons of cards: a paper's card is rendered and encoded once for all topics.

A topic adds to a paper its reasons, and nothing else: its note. The ordinary macros
render a card with a symbolic note. What they write of the note alone, such as the line of reasons, is
made once per note; of a text with marked words only the sentences that have them are encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, count, zip_longest
from typing import Any, cast

from jinja2 import Environment

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.environment import is_escaped
from service.messages.rendering.fast_path import slot_values, symbolic
from service.messages.rendering.fast_path.quoting import ExcerptCall, Piece, Quoting, excerpt_call
from service.messages.rendering.fast_path.skeletons import UnsupportedLog, constant, split_slots
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.fragments import (
    Place,
    encode_private,
    encode_shared,
    encode_shared_body,
    to_body,
)
from service.messages.rendering.paper_cards import (
    CardKind,
    CardText,
    CardView,
    PlaceCard,
    add_text,
    card_text,
)
from service.messages.rendering.text_part import wrap
from service.platform.caches import Generations
from service.presentation.highlight import Sentence, WantedWords, look_for, mark, sentences
from service.presentation.sanitize import clean
from service.topics.domain.types import Reason

# Per generation: the cards of a day of 1,500 papers in both parts, each in some variants, take 27 MB.
_MOST_CARD_BYTES = 48_000_000
_CARD_BYTES, _SEGMENT_BYTES, _PIECE_BYTES = 900, 250, 80
# Per generation: the texts that a topic marks. Subscribers with the same topic share them.
_MOST_MARKED_BYTES = 22_000_000
_MARKED_BYTES = 300
# Between two slots of a note most cards have the same few letters.
_SHORT = 48
# Per generation: the notes of some thousand topics. Those of a mail are used for all its papers.
_MOST_NOTE_BYTES = 15_000_000
_NOTE_BYTES, _WANTED_BYTES = 450, 300
# What a template may ask of a note, and get as results, before its cards are rendered whole.
_MOST_QUESTIONS, _MOST_SHAPES, _MOST_SIGNATURES = 32, 128, 128


@dataclass(slots=True)
class _Note:
    """What a topic adds to its papers. `shape` stands for the answers to the first `known` questions.

    `texts` are made of it alone, by the slots they fill; None where a card must be tidied with them.
    """

    reasons: tuple[Reason, ...]
    known: int = 0
    shape: int = 0
    texts: dict[int, tuple[CardText, ...] | None] = field(default_factory=dict)
    words: dict[int, WantedWords] = field(default_factory=dict)
    size: int = _NOTE_BYTES


@dataclass(frozen=True, slots=True)
class _Segment:
    """A card's text between two slots of its note; `whole` is all of it, as a note that marks nothing
    shows it.

    `ends` are the offsets at which its pieces end. Some pieces are sentences, each with the number
    of the words to mark in it. `stems` are those of its sentences by that number.
    """

    whole: CardText
    ends: tuple[int, ...]
    stems: tuple[tuple[int, str], ...]
    sentences: tuple[tuple[int, Sentence, int], ...]
    quoting: Quoting | None = None
    serial: int = field(default_factory=count().__next__)


@dataclass(frozen=True, slots=True)
class _CardSkeleton:
    """A card: its segments, with a slot of its note between each two. `signature` names the slots."""

    segments: tuple[_Segment, ...]
    signature: int
    excerpt_at: int = -1  # the number of the segment with the excerpt

    @property
    def size(self) -> int:
        return _CARD_BYTES + sum(map(_size_of_segment, self.segments))


class CardSkeletons:
    """The cards of one process. Filling changes nothing but caches: threads share it."""

    def __init__(self, environment: Environment, log_once: UnsupportedLog) -> None:
        self._environment = environment
        self._log = log_once
        self._cards: Generations[_CardSkeleton | _Whole] = Generations(
            "paper cards", _MOST_CARD_BYTES, lambda card: card.size
        )
        self._notes: Generations[_Note] = Generations(
            "topic notes", _MOST_NOTE_BYTES, lambda note: note.size
        )
        # By the serial number of the segment and the words to mark in it.
        self._marked: Generations[CardText] = Generations(
            "marked cards", _MOST_MARKED_BYTES, lambda text: text[0].size + _MARKED_BYTES
        )

    def placer(self, kind: CardKind, place_whole: PlaceCard) -> PlaceCard:
        """Return the function that places a card, by `place_whole` where no skeleton can hold it."""
        render = kind.macro_of(self._environment)
        name = f"{kind.template} {kind.macro}"
        part = slot_values.HTML_PART if is_escaped(kind.template) else slot_values.TEXT_PART
        caches = self._cards, self._notes, self._marked
        return _CardPlacer(kind, name, render, part.write, place_whole, *caches, self._log).place


class _Whole:
    """Marks a card that has no skeleton."""

    size = _CARD_BYTES


_WHOLE = _Whole()


@dataclass(slots=True)
class _CardPlacer:
    """The cards of one kind. Questions, slots and words are numbered in the order they are met."""

    kind: CardKind
    name: str
    render: Callable[[DigestPaper, CardView], str]
    write: Callable[[Any], str]
    place_whole: PlaceCard
    cards: Generations[_CardSkeleton | _Whole]
    notes: Generations[_Note]
    marked: Generations[CardText]
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
            card = self.cards.get((self.name, entry.shown, view, note.shape))
            if card is None:
                card, note = self._add(entry, view)
            if isinstance(card, _CardSkeleton) and self._fill(card, note, topic, placed):
                return
        self.place_whole(entry, view, topic, placed)

    def _note(self, entry: DigestPaper) -> _Note:
        reasons, note = self.latest
        if reasons is entry.reasons and note.known == len(self.questions):
            # Papers of one topic follow each other and share these values.
            return note
        key = (self.name, entry.reasons)
        found = self.notes.get(key)
        if found is None or found.known < len(self.questions):
            asks = list(self.questions.values())
            found = _Note(entry.reasons, len(asks))
            # What a note has no answer to, its cards never ask, so a new question changes no shape.
            given = ((number, _answer(ask, found)) for number, ask in enumerate(asks))
            answers = tuple(each for each in given if each[1] is not None)
            found.shape = self.shapes.setdefault(answers, next(self.numbers))
            self.notes.add(key, found)
        self.latest = (entry.reasons, found)
        return found

    def _add(self, entry: DigestPaper, view: CardView) -> tuple[_CardSkeleton | _Whole, _Note]:
        trace = symbolic.TemplateTrace(self._note(entry))
        card: _CardSkeleton | _Whole = _WHOLE
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
        return self.cards.add((self.name, entry.shown, view, note.shape), card), note

    def _report(self, reason: str) -> None:
        self.log.report(self.name, reason)

    def _render(
        self, entry: DigestPaper, view: CardView, trace: symbolic.TemplateTrace
    ) -> _CardSkeleton:
        shown = replace(entry, reasons=cast("Any", symbolic.symbolic_path(trace, "reasons")))
        written = self.render(shown, view)
        segments: list[list[Piece]] = [[]]
        slots: list[symbolic.SymbolicValue] = []
        excerpt: tuple[int, int, ExcerptCall] | None = None
        for piece in split_slots(written, trace.places):
            if isinstance(piece, str):
                segments[-1].append(piece)
            elif marked := _marked_text(piece):
                segments[-1] += self._sentences(*marked)
            elif call := excerpt_call(piece):
                if excerpt is not None:
                    raise CannotShare("a card with two excerpts")
                excerpt = len(segments) - 1, len(segments[-1]), call
            else:
                slots.append(piece)
                segments.append([])
        whole = [_segment(pieces) for pieces in segments]
        if excerpt is not None:
            at, place, call = excerpt
            whole[at] = self._with_excerpt(segments[at], place, call)
        return _CardSkeleton(tuple(whole), self._signature(slots), excerpt[0] if excerpt else -1)

    def _with_excerpt(self, around: list[Piece], place: int, call: ExcerptCall) -> _Segment:
        """Return a segment with the usual excerpt, put in at a place between other pieces."""
        usual, words = call.excerpts.show(), call.words
        shown = [self._wrap(usual)] if words is None else self._sentences(usual, words)
        quoting = Quoting(
            call.excerpts,
            self._number(call.quoted),
            None if words is None else self._number(words),
            tuple(around[:place]),
            tuple(around[place:]),
            self._wrap,
        )
        return _segment([*quoting.before, *shown, *quoting.after], quoting)

    def _wrap(self, excerpt: str) -> str:
        text = self.write(wrap(excerpt))
        # It follows other lines, so its first one may begin with a space, as "From" does.
        if not self._is_whole(f".\n{text}"):
            raise CannotShare("an excerpt that the whole card would be tidied for")
        return text

    def _sentences(
        self, text: str, words: symbolic.SymbolicValue
    ) -> Iterator[tuple[str, Sentence, int]]:
        """Yield the sentences of a text, each as it is written unmarked."""
        number = self._number(words)
        pieces = [(self.write(mark(one.text, ())), one, number) for one in sentences(text)]
        whole = self.write(mark(text, ()))
        if not self._is_whole(whole) or "".join(piece for piece, _, _ in pieces) != whole:
            raise CannotShare("a marked text that the whole card would be tidied for")
        yield from pieces

    def _number(self, words: symbolic.SymbolicValue) -> int:
        spec = symbolic.spec_of(words)
        number = self.wanted.setdefault(spec.key, next(self.numbers))
        self.words[number] = spec.read
        return number

    def _signature(self, slots: Sequence[symbolic.SymbolicValue]) -> int:
        specs = [symbolic.spec_of(slot) for slot in slots]
        keys = tuple(spec.key for spec in specs)
        number = self.signatures.setdefault(keys, next(self.numbers))
        self.slots[number] = tuple(spec.read for spec in specs)
        return number

    def _fill(self, card: _CardSkeleton, note: _Note, topic: int, placed: Place) -> bool:
        """Place a card with the texts of this note; return False where that cannot be done."""
        if card.signature not in note.texts:
            texts = note.texts[card.signature] = self._texts(card.signature, note)
            self._grow(note, sum(fragment.size for fragment, _ in texts or ()))
        texts = note.texts[card.signature]
        if texts is None:
            return False
        quoting = card.segments[card.excerpt_at].quoting
        quoted: CardText | tuple[()] | None = ()
        if quoting is not None:
            quoted = quoting.text(lambda number: self._look_for(number, note), self.marked)
            if quoted is None:
                return False
        for at, (segment, text) in enumerate(zip_longest(card.segments, texts)):
            if at == card.excerpt_at and quoted:
                add_text(placed, quoted, topic)
            elif segment.ends:
                shown = segment.whole
                if segment.sentences and (wanted := self._wanted(segment, note)):
                    shown = self._mark(segment, wanted)
                add_text(placed, shown, topic)
            if text is not None:
                add_text(placed, text, topic)
        return True

    def _wanted(self, segment: _Segment, note: _Note) -> dict[int, WantedWords]:
        """Return the note's words by their number, those that may be in the segment."""
        found: dict[int, WantedWords] = {}
        for number, stems in segment.stems:
            wanted = self._look_for(number, note)
            if wanted.may_be_in(stems):
                found[number] = wanted
        return found

    def _look_for(self, number: int, note: _Note) -> WantedWords:
        wanted = note.words.get(number)
        if wanted is None:
            wanted = note.words[number] = look_for(tuple(self.words[number](note)))
            self._grow(note, _WANTED_BYTES)
        return wanted

    def _grow(self, note: _Note, size: int) -> None:
        note.size += size
        self.notes.grow(size)

    def _mark(self, segment: _Segment, wanted: Mapping[int, WantedWords]) -> CardText:
        """Return the text of a segment with these words marked, each set in its own sentences."""
        key = (segment.serial, *[(number, words.words) for number, words in wanted.items()])
        found = self.marked.get(key)
        if found is not None:
            return found
        body, ends = segment.whole[0].body, segment.ends
        pieces: list[bytes] = []
        start = 0
        for at, sentence, number in segment.sentences:
            marked = sentence.mark(wanted[number]) if number in wanted else None
            if marked is not None:
                pieces += (body[ends[start] : ends[at]], to_body(clean(str(marked))))
                start = at + 1
        if not pieces:
            return self.marked.add(key, segment.whole)
        marked_body = b"".join((*pieces, body[ends[start] :]))
        return self.marked.add(key, card_text(encode_shared_body(marked_body)))

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


def _segment(pieces: Sequence[Piece], quoting: Quoting | None = None) -> _Segment:
    texts = [piece if isinstance(piece, str) else piece[0] for piece in pieces]
    bodies = [to_body(text) for text in texts]
    marked = tuple(
        (at, *piece[1:]) for at, piece in enumerate(pieces) if not isinstance(piece, str)
    )
    stems: dict[int, str] = {}
    for _, sentence, number in marked:
        stems[number] = f"{stems.get(number, '')} {' '.join(sentence.stems)} "
    ends = tuple(accumulate(map(len, bodies), initial=0)) if bodies else ()
    text = "".join(texts)
    whole = card_text((constant if len(text) < _SHORT else encode_shared)(text))
    return _Segment(whole, ends, tuple(stems.items()), marked, quoting)


def _size_of_segment(segment: _Segment) -> int:
    stems = sum(len(stems) for _, stems in segment.stems)
    pieces = _PIECE_BYTES * len(segment.sentences)
    return _SEGMENT_BYTES + segment.whole[0].size + stems + pieces
