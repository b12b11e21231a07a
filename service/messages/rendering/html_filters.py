"""The lines of a card as HTML: what `plain` says of a paper in the text twin."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.digest_phrases import facts
from service.presentation.phrases import byline, fields, names_and_more
from service.presentation.reasons import because
from service.presentation.sanitize import isolated
from service.topics.domain.types import Reason


def marked_byline(entry: DigestPaper) -> Markup:
    """`First Author, Second Author and 3 more · Computation and Language · ▲ 4`.

    Each name stands in its own direction, and no line ends before a dot.
    """
    by = byline(entry.paper)
    said = names_and_more([isolated(name) for name in by.names], by.more)
    others = [escape(part) for part in (", ".join(fields(entry.paper)), *facts(entry)) if part]
    parts = [said, *others] if said else others
    return Markup("\u00a0· ".join(parts))  # noqa: S704 - each part is escaped


def marked_because(reasons: Sequence[Reason]) -> Markup:
    """The sentence that says why, with the reader's words marked; empty without reasons."""
    pieces = [
        f"<mark>{isolated(piece.text)}</mark>" if piece.is_marked else escape(piece.text)
        for piece in because(reasons)
    ]
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped
