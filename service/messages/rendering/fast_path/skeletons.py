"""Digests written once for all readers whose digests are alike, and filled with what is their own.

A frame is a part of a mail as ready runs, with blanks for a reader's own words, links and cards. It
is written by the same templates as any mail, given open values (`opened`): what a template looked at
decides whom its frame fits. Where a template does something that no frame can hold, each mail is
written by itself, which is slower and says the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from jinja2 import Environment
from markupsafe import escape

from service.messages.contexts.digest import DigestContext
from service.messages.rendering.fast_path.fragments import (
    CARD_ENDS,
    CARD_OPENS,
    OPEN_ENDS,
    OPEN_OPENS,
    Run,
    own_run,
    shared_run,
)
from service.messages.rendering.fast_path.paper_cards import Place
from service.messages.rendering.fast_path.symbolic import (
    Ask,
    Filling,
    Open,
    OpenMail,
    Read,
    Watch,
    inside,
    open_subject,
)
from service.messages.rendering.mjml_cache import compact, press_shape, split_shape
from service.messages.rendering.slots import finalize
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import cached, register_cache

# What all readers of an edition have in common, those of one language at least.
FIXED = (
    "cadence", "local_date", "since", "coverage", "operator_address", "brand", "locale",
    "excerpt_characters", "most_happenings",
)  # fmt: skip
_fixed_of = attrgetter("kind", *FIXED)

_PLACE = re.compile(f"{CARD_OPENS}(\\d+){CARD_ENDS}\n?|{OPEN_OPENS}(\\d+){OPEN_ENDS}")
_MARKS = re.compile(f"[{CARD_OPENS}{CARD_ENDS}{OPEN_OPENS}{OPEN_ENDS}]")
# Of a template, for the readers of an edition in one language. Some dozens are usual; a frame's own
# memory is a few kB, since most of its runs stand in others too.
_FRAMES_KEPT = 256
_EDITIONS_KEPT = 64
# Of each of two generations, and about 600 octets each.
_WORDS_KEPT = 8_192
# Shorter ones are cheaper to repeat in a copy than to name.
_SHORTEST_SHARED = 48

F = TypeVar("F")


class NotAlike(Exception):
    """No frame can hold this mail, or what this template does."""


class Blank(Protocol):
    """A place in a frame."""

    def fill(self, filling: Filling, placed: Place) -> None:
        """Add what this mail says here. Raises `NotAlike`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A part: blanks, the runs before each that are the same for all, and those at the end."""

    blanks: tuple[tuple[Place, Blank], ...]
    end: Place

    def fill(self, filling: Filling) -> Place:
        """The runs of a mail's part. Raises `NotAlike`."""
        placed: Place = []
        filling.numbered = 0
        for before, blank in self.blanks:
            placed += before
            blank.fill(filling, placed)
        placed += self.end
        return placed


@dataclass(frozen=True, slots=True)
class SubjectFrame:
    """A subject: words that are the same for all, and where the others come from."""

    pieces: tuple[str | Read, ...]

    def fill(self, filling: Filling) -> str:
        said = (one if isinstance(one, str) else _as_text(one(filling)) for one in self.pieces)
        return " ".join("".join(said).split())


class Frames:
    """The frames of one process. Filling changes nothing in it but what is kept: threads share it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._editions: dict[Hashable, _Edition] = {}
        self._words = Words()
        register_cache("digest skeletons", self, maximum=_EDITIONS_KEPT * 3 * _FRAMES_KEPT)

    def fill(self, mail: DigestContext) -> tuple[str, Place, Place]:
        """The subject, and the runs of HTML and text.

        Raises `NotAlike`, and `UnsafeOwnLink` for a link that must not go.
        """
        fixed = _fixed_of(mail)
        frames = self._editions.get(fixed)
        if frames is None:
            frames = self._add_edition(fixed)
        filling = Filling(mail)
        filling.subject = self._find(frames.subject, filling, self._write_subject).fill(filling)
        html = self._find(frames.html, filling, self._write_html).fill(filling)
        text = self._find(frames.text, filling, self._write_text).fill(filling)
        return filling.subject, html, text

    def count_entries(self) -> int:
        editions = list(self._editions.values())
        return sum(one.subject.count + one.html.count + one.text.count for one in editions)

    def forget_entries(self) -> None:
        self._editions.clear()

    def _add_edition(self, fixed: Hashable) -> _Edition:
        if len(self._editions) >= _EDITIONS_KEPT:
            self._editions.pop(next(iter(self._editions)), None)
        frames = self._editions[fixed] = _Edition()
        return frames

    def _find(self, tree: _Tree[F], filling: Filling, write: Callable[[Watch], F]) -> F:
        found = tree.find(filling)
        if found is None:
            if tree.count >= _FRAMES_KEPT:
                # This template looks at so much that hardly two mails are alike.
                raise NotAlike
            watch = Watch(filling)
            try:
                found = write(watch)
            except Exception:  # noqa: BLE001 - writing it alone does without, or says what is wrong
                found = HOPELESS
            tree.add(watch.asked.values(), found)
            watch.forget()
        if isinstance(found, _Hopeless):
            raise NotAlike
        return found

    # -- writing --------------------------------------------------------------------------------

    def _write(self, watch: Watch, name: str) -> str:
        kind = watch.filling.mail.kind
        template = self._environment.get_template(f"{kind}/{name}")
        mail = OpenMail(watch, frozenset(FIXED))
        return template.render(mail=mail, subject=open_subject(watch), places=watch.places)

    def _write_subject(self, watch: Watch) -> SubjectFrame:
        written = self._write(watch, "subject.txt")
        pieces: list[str | Read] = []
        for piece in _split(written, watch.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif isinstance(piece, Open):
                pieces.append(inside(piece).read)
            else:
                raise NotAlike
        return SubjectFrame(tuple(pieces))

    def _write_html(self, watch: Watch) -> Frame:
        shape, contents = split_shape(self._write(watch, "body.mjml"))
        pressed = [
            piece if isinstance(piece, str) else contents[piece] for piece in press_shape(shape)
        ]
        return self._frame("".join([*pressed, "\n"]), watch.places, _HTML)

    def _write_text(self, watch: Watch) -> Frame:
        written = tidy_text(self._write(watch, "body.txt"))
        return self._frame(written, watch.places, _TEXT)

    def _frame(self, written: str, places: list[Any], part: _PartKind) -> Frame:
        blanks: list[tuple[Place, Blank]] = []
        static: Place = []
        for piece in _split(written, places):
            if isinstance(piece, str):
                static.append((_static_run(piece), 0))
            else:
                blank = self._words.blank(piece, part) if isinstance(piece, Open) else piece
                blanks.append((static, blank))
                static = []
        return Frame(tuple(blanks), static)


class _Hopeless:
    """Stands in a tree where there can be no frame."""


HOPELESS = _Hopeless()


@dataclass(slots=True)
class _Question(Generic[F]):
    ask: Ask
    answers: dict[Hashable, _Question[F] | F | _Hopeless] = field(default_factory=dict)


@dataclass(slots=True)
class _Tree(Generic[F]):
    """Frames of one template, found by the answers that it wanted to know, in its order."""

    root: _Question[F] | F | _Hopeless | None = None
    count: int = 0

    def find(self, filling: Filling) -> F | _Hopeless | None:
        node = self.root
        while isinstance(node, _Question):
            node = node.answers.get(node.ask(filling))
        return node

    def add(self, asked: Iterable[tuple[Ask, Hashable]], frame: F | _Hopeless) -> None:
        """Keep a frame for all who give these answers."""
        put: Callable[[Any], None] = self._put_root
        node: Any = self.root
        for ask, answer in asked:
            if not isinstance(node, _Question):
                node = _Question(ask)
                put(node)
            put = partial(node.answers.__setitem__, answer)
            node = node.answers.get(answer)
        put(frame)
        self.count += 1

    def _put_root(self, node: _Question[F] | F | _Hopeless) -> None:
        self.root = node


@dataclass(slots=True)
class _Edition:
    """The frames of readers who have an edition and a language in common."""

    subject: _Tree[SubjectFrame] = field(default_factory=_Tree)
    html: _Tree[Frame] = field(default_factory=_Tree)
    text: _Tree[Frame] = field(default_factory=_Tree)


def _split(written: str, places: list[Any]) -> Iterator[str | Any]:
    """What stands between the places, and the places, each of which must be there: a filter may
    have worked on what was written, and then it is not what the mail would say."""
    at, seen = 0, set()
    for found in _PLACE.finditer(written):
        if found.start() > at:
            yield _checked(written[at : found.start()])
        number = int(found[1] or found[2])
        seen.add(number)
        yield places[number]
        at = found.end()
    if at < len(written):
        yield _checked(written[at:])
    if len(seen) < len(places):
        raise NotAlike


def _checked(text: str) -> str:
    if _MARKS.search(text):
        raise NotAlike
    return text


@cached("skeleton fragments", maxsize=1_024)
def _static_run(text: str) -> Run:
    return shared_run(text) if len(text) >= _SHORTEST_SHARED else own_run(text)


def _is_link(key: Hashable) -> bool:
    """Whether it is one of the reader's own addresses."""
    return isinstance(key, str) and key.startswith("mail.links.") and key != "mail.links.home"


def _is_small(value: object) -> bool:
    """Whether many mails may have it in common, and comparing it is quick."""
    if isinstance(value, tuple):
        return all(isinstance(one, str) for one in value)
    return value is None or isinstance(value, str | int | date | Enum)


_Key: TypeAlias = tuple[int, Hashable]


class Words:
    """What readers' own values become in their mails, for as long as others say the same."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.kept: dict[_Key, tuple[Run, int]] = {}
        # Those of before, out of which what is asked for again comes back: a third of the words of
        # a mail are its own and go with the next change of generations.
        self._older: dict[_Key, tuple[Run, int]] = {}
        register_cache("digest words", self, maximum=2 * _WORDS_KEPT)

    def blank(self, value: Open, part: _PartKind) -> Blank:
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

    def find(self, key: _Key, said: _Said, filling: Filling) -> tuple[Run, int]:
        """Words that are not in `kept`, which has them afterwards."""
        words = self._older.get(key) or (own_run(said.text(filling)), 0)
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

    def text(self, filling: Filling) -> str:
        text = self.write(self.read(filling))
        if not text or not self.is_whole(text):
            raise NotAlike
        return text


@dataclass(frozen=True, slots=True)
class _OwnWords:
    """Words of one mail alone, like its links."""

    said: _Said

    def fill(self, filling: Filling, placed: Place) -> None:
        text = self.said.text(filling)
        run = filling.runs.get(text)
        if run is None:
            run = filling.runs[text] = own_run(text)
        placed.append((run, 0))


@dataclass(frozen=True, slots=True)
class _SharedWords:
    """Words that other mails say as well, known again by what they are made of."""

    said: _Said
    source: Read
    number: int
    words: Words

    def fill(self, filling: Filling, placed: Place) -> None:
        key = (self.number, self.source(filling))
        placed.append(self.words.kept.get(key) or self.words.find(key, self.said, filling))


def _as_markup(value: object) -> str:
    return str(escape(finalize(value)))


def _as_text(value: object) -> str:
    return str(finalize(value))


def _is_whole_markup(text: str) -> bool:
    """Whether what is done to whole contents would leave these words as they are."""
    return (text.isprintable() and text[0] != " " != text[-1]) or compact(text).strip() == text


def _is_whole_text(text: str) -> bool:
    if text.isprintable():
        return text[0] != " " != text[-1]
    return "\n\n" not in text and tidy_text(text) == f"{text}\n"


@dataclass(frozen=True, slots=True)
class _PartKind:
    """How a part is written: what becomes of a value, and which words may stand in it as they are."""

    name: str
    write: Callable[[Any], str]
    is_whole: Callable[[str], bool]


_HTML = _PartKind("html", _as_markup, _is_whole_markup)
_TEXT = _PartKind("text", _as_text, _is_whole_text)
