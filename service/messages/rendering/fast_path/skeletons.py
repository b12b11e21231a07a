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
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from jinja2 import Environment

from service.messages.contexts.digest import DigestContext
from service.messages.rendering.fast_path.fragments import (
    CARD_ENDS,
    CARD_OPENS,
    OPEN_ENDS,
    OPEN_OPENS,
    Fragment,
    encode_private,
    encode_shared,
)
from service.messages.rendering.fast_path.paper_cards import Place
from service.messages.rendering.fast_path.slot_values import (
    HTML_PART,
    TEXT_PART,
    CannotShare,
    PartKind,
    Slot,
    SlotValues,
    as_text,
)
from service.messages.rendering.fast_path.symbolic import (
    Ask,
    Read,
    RenderInput,
    SymbolicMail,
    SymbolicValue,
    TemplateTrace,
    inside,
    open_subject,
)
from service.messages.rendering.mjml_cache import press_shape, split_shape
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import cached, register_cache

# What all readers of an edition have in common, those of one language at least.
FIXED = (
    "cadence", "local_date", "since", "coverage", "operator_address", "brand", "locale",
    "excerpt_characters", "most_updates",
)  # fmt: skip
_fixed_of = attrgetter("kind", *FIXED)

_PLACE = re.compile(f"{CARD_OPENS}(\\d+){CARD_ENDS}\n?|{OPEN_OPENS}(\\d+){OPEN_ENDS}")
_MARKS = re.compile(f"[{CARD_OPENS}{CARD_ENDS}{OPEN_OPENS}{OPEN_ENDS}]")
# Of a template, for the readers of an edition in one language. Some dozens are usual; a frame's own
# memory is a few kB, since most of its runs stand in others too.
_SKELETONS_KEPT = 256
_EDITIONS_KEPT = 64
# Shorter ones are cheaper to repeat in a copy than to name.
_SHORTEST_SHARED = 48

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class DigestSkeleton:
    """A part: blanks, the runs before each that are the same for all, and those at the end."""

    slots: tuple[tuple[Place, Slot], ...]
    end: Place

    def fill(self, filling: RenderInput) -> Place:
        """The runs of a mail's part. Raises `CannotShare`."""
        placed: Place = []
        filling.numbered = 0
        for before, slot in self.slots:
            placed += before
            slot.fill(filling, placed)
        placed += self.end
        return placed


@dataclass(frozen=True, slots=True)
class SubjectSkeleton:
    """A subject: words that are the same for all, and where the others come from."""

    pieces: tuple[str | Read, ...]

    def fill(self, filling: RenderInput) -> str:
        said = (one if isinstance(one, str) else as_text(one(filling)) for one in self.pieces)
        return " ".join("".join(said).split())


class DigestSkeletons:
    """The frames of one process. Filling changes nothing in it but what is kept: threads share it."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._editions: dict[Hashable, _Edition] = {}
        self._words = SlotValues()
        register_cache("digest skeletons", self, maximum=_EDITIONS_KEPT * 3 * _SKELETONS_KEPT)

    def fill(self, mail: DigestContext) -> tuple[str, Place, Place]:
        """The subject, and the runs of HTML and text.

        Raises `CannotShare`, and `UnsafeOwnLink` for a link that must not go.
        """
        fixed = _fixed_of(mail)
        skeletons = self._editions.get(fixed)
        if skeletons is None:
            skeletons = self._add_edition(fixed)
        filling = RenderInput(mail)
        filling.subject = self._find(skeletons.subject, filling, self._write_subject).fill(filling)
        html = self._find(skeletons.html, filling, self._write_html).fill(filling)
        text = self._find(skeletons.text, filling, self._write_text).fill(filling)
        return filling.subject, html, text

    def count_entries(self) -> int:
        editions = list(self._editions.values())
        return sum(one.subject.count + one.html.count + one.text.count for one in editions)

    def forget_entries(self) -> None:
        self._editions.clear()

    def _add_edition(self, fixed: Hashable) -> _Edition:
        if len(self._editions) >= _EDITIONS_KEPT:
            self._editions.pop(next(iter(self._editions)), None)
        skeletons = self._editions[fixed] = _Edition()
        return skeletons

    def _find(self, tree: _Tree[F], filling: RenderInput, write: Callable[[TemplateTrace], F]) -> F:
        found = tree.find(filling)
        if found is None:
            if tree.count >= _SKELETONS_KEPT:
                # This template looks at so much that hardly two mails are alike.
                raise CannotShare
            watch = TemplateTrace(filling)
            try:
                found = write(watch)
            except Exception:  # noqa: BLE001 - writing it alone does without, or says what is wrong
                found = HOPELESS
            tree.add(watch.asked.values(), found)
            watch.forget()
        if isinstance(found, _Unsupported):
            raise CannotShare
        return found

    # -- writing --------------------------------------------------------------------------------

    def _write(self, watch: TemplateTrace, name: str) -> str:
        kind = watch.filling.mail.kind
        template = self._environment.get_template(f"{kind}/{name}")
        mail = SymbolicMail(watch, frozenset(FIXED))
        return template.render(mail=mail, subject=open_subject(watch), places=watch.places)

    def _write_subject(self, watch: TemplateTrace) -> SubjectSkeleton:
        written = self._write(watch, "subject.txt")
        pieces: list[str | Read] = []
        for piece in _split(written, watch.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif isinstance(piece, SymbolicValue):
                pieces.append(inside(piece).read)
            else:
                raise CannotShare
        return SubjectSkeleton(tuple(pieces))

    def _write_html(self, watch: TemplateTrace) -> DigestSkeleton:
        shape, contents = split_shape(self._write(watch, "body.mjml"))
        pressed = [
            piece if isinstance(piece, str) else contents[piece] for piece in press_shape(shape)
        ]
        return self._skeleton("".join([*pressed, "\n"]), watch.places, HTML_PART)

    def _write_text(self, watch: TemplateTrace) -> DigestSkeleton:
        written = tidy_text(self._write(watch, "body.txt"))
        return self._skeleton(written, watch.places, TEXT_PART)

    def _skeleton(self, written: str, places: list[Any], part: PartKind) -> DigestSkeleton:
        slots: list[tuple[Place, Slot]] = []
        static: Place = []
        for piece in _split(written, places):
            if isinstance(piece, str):
                static.append((_static_run(piece), 0))
            else:
                slot = self._words.slot(piece, part) if isinstance(piece, SymbolicValue) else piece
                slots.append((static, slot))
                static = []
        return DigestSkeleton(tuple(slots), static)


class _Unsupported:
    """Stands in a tree where there can be no frame."""


HOPELESS = _Unsupported()


@dataclass(slots=True)
class _Question(Generic[F]):
    ask: Ask
    answers: dict[Hashable, _Question[F] | F | _Unsupported] = field(default_factory=dict)


@dataclass(slots=True)
class _Tree(Generic[F]):
    """Frames of one template, found by the answers that it wanted to know, in its order."""

    root: _Question[F] | F | _Unsupported | None = None
    count: int = 0

    def find(self, filling: RenderInput) -> F | _Unsupported | None:
        node = self.root
        while isinstance(node, _Question):
            node = node.answers.get(node.ask(filling))
        return node

    def add(self, asked: Iterable[tuple[Ask, Hashable]], skeleton: F | _Unsupported) -> None:
        """Keep a frame for all who give these answers."""
        put: Callable[[Any], None] = self._put_root
        node: Any = self.root
        for ask, answer in asked:
            if not isinstance(node, _Question):
                node = _Question(ask)
                put(node)
            put = partial(node.answers.__setitem__, answer)
            node = node.answers.get(answer)
        put(skeleton)
        self.count += 1

    def _put_root(self, node: _Question[F] | F | _Unsupported) -> None:
        self.root = node


@dataclass(slots=True)
class _Edition:
    """The frames of readers who have an edition and a language in common."""

    subject: _Tree[SubjectSkeleton] = field(default_factory=_Tree)
    html: _Tree[DigestSkeleton] = field(default_factory=_Tree)
    text: _Tree[DigestSkeleton] = field(default_factory=_Tree)


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
        raise CannotShare


def _checked(text: str) -> str:
    if _MARKS.search(text):
        raise CannotShare
    return text


@cached("skeleton fragments", maxsize=1_024)
def _static_run(text: str) -> Fragment:
    return encode_shared(text) if len(text) >= _SHORTEST_SHARED else encode_private(text)
