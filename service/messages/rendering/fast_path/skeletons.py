"""Skeletons: render a digest once per group of structurally equal digests, then fill in the rest.

A skeleton is a part of a mail as encoded fragments with slots for a subscriber's own texts, links
and cards. The ordinary templates render it with symbolic values (`symbolic`): the questions that a
template asks decide which mails its skeleton fits. See docs/fast-path.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from jinja2 import Environment

from service.messages.contexts.digest import DigestContext, DigestSection
from service.messages.rendering import fragments
from service.messages.rendering.fast_path import slot_values, symbolic
from service.messages.rendering.fast_path.slot_values import CannotShare, PartKind, Slot, as_text
from service.messages.rendering.mjml_cache import compile_shape, split_shape
from service.messages.rendering.paper_cards import CardKind, PlaceHeading
from service.messages.rendering.text_part import tidy_text
from service.platform.caches import cached, register_cache
from service.platform.logs import get_logger

log = get_logger(__name__)

# Attributes that are equal for all subscribers of an edition with one locale.
FIXED = (
    "cadence", "local_date", "since", "note", "covers", "remarks", "coverage", "operator_address", "brand", "locale",
    "excerpt_characters", "most_updates",
)  # fmt: skip
_fixed_of = attrgetter("kind", *FIXED)

_PLACE = re.compile(
    f"{fragments.CARD_OPENS}(\\d+){fragments.CARD_ENDS}\n?|{fragments.OPEN_OPENS}(\\d+){fragments.OPEN_ENDS}"
)
_MARKS = re.compile(
    f"[{fragments.CARD_OPENS}{fragments.CARD_ENDS}{fragments.OPEN_OPENS}{fragments.OPEN_ENDS}]"
)
# Per template, edition and locale. Some dozens are usual; a skeleton takes a few kB, since it shares
# most of its fragments with others.
_SKELETONS_KEPT = 256
_EDITIONS_KEPT = 64

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class DigestSkeleton:
    """A part: its slots, the constant fragments before each slot, and those at the end."""

    slots: tuple[tuple[fragments.Place, Slot], ...]
    end: fragments.Place

    def fill(self, given: Any) -> fragments.Place:
        """Return the fragments of a mail's part, or of a heading. Raises `CannotShare`."""
        placed: fragments.Place = []
        for before, slot in self.slots:
            placed += before
            slot.fill(given, placed)
        placed += self.end
        return placed


@dataclass(frozen=True, slots=True)
class SubjectSkeleton:
    """A subject: constant text, and functions that read the rest from a mail."""

    pieces: tuple[str | symbolic.Read, ...]

    def fill(self, given: symbolic.RenderInput) -> str:
        texts = (each if isinstance(each, str) else as_text(each(given)) for each in self.pieces)
        return " ".join("".join(texts).split())


class UnsupportedLog:
    """Logs once per template that what it renders takes the slow path."""

    def __init__(self) -> None:
        self._reported: set[str] = set()

    def report(self, name: str, reason: str) -> None:
        if name not in self._reported:
            self._reported.add(name)
            log.warning("fast_path.unsupported", template=name, reason=reason)


class DigestSkeletons:
    """The skeletons of one process. Filling changes nothing but caches: threads share it."""

    def __init__(self, environment: Environment, log_once: UnsupportedLog) -> None:
        self._environment = environment
        self._log = log_once
        self._editions: dict[Hashable, _Edition] = {}
        self._slots = slot_values.SlotValues()
        register_cache("digest skeletons", self, maximum=_EDITIONS_KEPT * 3 * _SKELETONS_KEPT)

    def fill(self, mail: DigestContext) -> tuple[str, fragments.Place, fragments.Place]:
        """Return the subject, and the fragments of HTML and text.

        Raises `CannotShare`, and `UnsafeOwnLink` for a link that must not be sent.
        """
        fixed = _fixed_of(mail)
        skeletons = self._editions.get(fixed)
        if skeletons is None:
            skeletons = self._add_edition(fixed)
        given = symbolic.RenderInput(mail)
        find = partial(self._find, given=given)
        given.subject = find(skeletons.subject, "subject.txt", self._write_subject).fill(given)
        html = find(skeletons.html, "body.mjml", self._write_html).fill(given)
        given.numbered = 0
        text = find(skeletons.text, "body.txt", self._write_text).fill(given)
        return given.subject, html, text

    def heading_placer(self, kind: CardKind, place_whole: PlaceHeading) -> PlaceHeading:
        """Return the function that places a section's heading, by `place_whole` where no skeleton fits.

        It shares the text of a topic's name with other headings.
        """
        macro = kind.opening_of(self._environment, "heading")
        part = slot_values.TEXT_PART if kind.is_text else slot_values.HTML_PART
        tree: _Tree[DigestSkeleton] = _Tree()

        def write(trace: symbolic.TemplateTrace, _: str) -> DigestSkeleton:
            written = macro(symbolic.symbolic_path(trace, "title"))
            return self._skeleton(written, trace.places, part)

        def place(section: DigestSection, placed: fragments.Place) -> None:
            try:
                found = self._find(tree, f"{kind.template} heading", write, section)
                placed += found.fill(section)
            except CannotShare:
                place_whole(section, placed)

        return place

    def count_entries(self) -> int:
        editions = list(self._editions.values())
        return sum(one.subject.count + one.html.count + one.text.count for one in editions)

    def clear_entries(self) -> None:
        self._editions.clear()

    def _add_edition(self, fixed: Hashable) -> _Edition:
        if len(self._editions) >= _EDITIONS_KEPT:
            self._editions.pop(next(iter(self._editions)), None)
        skeletons = self._editions[fixed] = _Edition()
        return skeletons

    def _find(
        self,
        tree: _Tree[F],
        name: str,
        write: Callable[[symbolic.TemplateTrace, str], F],
        given: Any,
    ) -> F:
        found = tree.find(given)
        if found is None:
            if tree.count >= _SKELETONS_KEPT:
                # The template asks so much that hardly two mails are alike.
                self._log.report(name, "more variants than can be kept")
                raise CannotShare
            trace = symbolic.TemplateTrace(given)
            try:
                found = write(trace, name)
            except Exception as error:  # noqa: BLE001 - the plain templates do without, or name the fault
                self._log.report(name, f"{type(error).__name__}: {error}")
                found = UNSUPPORTED
            tree.add(trace.questions.values(), found)
            trace.forget()
        if isinstance(found, _Unsupported):
            raise CannotShare
        return found

    def _write(self, trace: symbolic.TemplateTrace, name: str) -> str:
        template = self._environment.get_template(f"{trace.given.mail.kind}/{name}")
        mail = symbolic.SymbolicMail(trace, frozenset(FIXED))
        subject = symbolic.symbolic_path(trace, "subject")
        return template.render(mail=mail, subject=subject, places=trace.places)

    def _write_subject(self, trace: symbolic.TemplateTrace, name: str) -> SubjectSkeleton:
        written = self._write(trace, name)
        pieces: list[str | symbolic.Read] = []
        for piece in split_slots(written, trace.places):
            if isinstance(piece, str):
                pieces.append(piece)
            elif isinstance(piece, symbolic.SymbolicValue):
                pieces.append(symbolic.spec_of(piece).read)
            else:
                raise CannotShare
        return SubjectSkeleton(tuple(pieces))

    def _write_html(self, trace: symbolic.TemplateTrace, name: str) -> DigestSkeleton:
        shape, contents = split_shape(self._write(trace, name))
        pressed = [
            piece if isinstance(piece, str) else contents[piece] for piece in compile_shape(shape)
        ]
        return self._skeleton("".join([*pressed, "\n"]), trace.places, slot_values.HTML_PART)

    def _write_text(self, trace: symbolic.TemplateTrace, name: str) -> DigestSkeleton:
        written = tidy_text(self._write(trace, name))
        return self._skeleton(written, trace.places, slot_values.TEXT_PART)

    def _skeleton(self, written: str, places: list[Any], part: PartKind) -> DigestSkeleton:
        slots: list[tuple[fragments.Place, Slot]] = []
        static: fragments.Place = []
        for piece in split_slots(written, places):
            if isinstance(piece, str):
                static.append((constant(piece), 0))
            else:
                is_value = isinstance(piece, symbolic.SymbolicValue)
                slots.append((static, self._slots.slot(piece, part) if is_value else piece))
                static = []
        return DigestSkeleton(tuple(slots), static)


class _Unsupported:
    """Marks a place in a tree that can have no skeleton."""


UNSUPPORTED = _Unsupported()


@dataclass(slots=True)
class _Question(Generic[F]):
    ask: symbolic.Ask
    answers: dict[Hashable, _Question[F] | F | _Unsupported] = field(default_factory=dict)


@dataclass(slots=True)
class _Tree(Generic[F]):
    """A decision tree: the skeletons of one template by the answers to its questions, in its order."""

    root: _Question[F] | F | _Unsupported | None = None
    count: int = 0

    def find(self, given: Any) -> F | _Unsupported | None:
        node = self.root
        while isinstance(node, _Question):
            node = node.answers.get(node.ask(given))
        return node

    def add(
        self, questions: Iterable[tuple[symbolic.Ask, Hashable]], skeleton: F | _Unsupported
    ) -> None:
        """Add a skeleton for all mails with these answers."""
        put: Callable[[Any], None] = partial(setattr, self, "root")
        node: Any = self.root
        for ask, answer in questions:
            if not isinstance(node, _Question):
                node = _Question(ask)
                put(node)
            put = partial(node.answers.__setitem__, answer)
            node = node.answers.get(answer)
        put(skeleton)
        self.count += 1


@dataclass(slots=True)
class _Edition:
    """The skeletons of one edition and locale."""

    subject: _Tree[SubjectSkeleton] = field(default_factory=_Tree)
    html: _Tree[DigestSkeleton] = field(default_factory=_Tree)
    text: _Tree[DigestSkeleton] = field(default_factory=_Tree)


def split_slots(written: str, places: list[Any]) -> Iterator[str | Any]:
    """Yield the constant texts and the slots between them. Raises `CannotShare` where one is missing:
    a filter has changed rendered text, and the plain templates would render something else.
    """
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
        raise CannotShare("a filter changed rendered text that holds a slot")


def _checked(text: str) -> str:
    if _MARKS.search(text):
        raise CannotShare("a filter cut a slot")
    return text


# Skeletons, also those of cards, have most of their short texts in common.
constant = cached("skeleton fragments", maxsize=1_024)(fragments.encode_shared)
