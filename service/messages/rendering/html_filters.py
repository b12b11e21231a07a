"""A paper's byline and reason line as HTML; `text_part` has the same lines as text."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.digest_phrases import excerpts_of, facts
from service.papers.domain.categories import category_name
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.presentation.highlight import look_for, mark
from service.presentation.phrases import byline, fields, names_and_more
from service.presentation.reasons import because
from service.presentation.sanitize import isolated
from service.topics.domain.types import Reason


def marked_byline(entry: DigestPaper) -> Markup:
    """Return `First Author, Second Author and 3 more · cs.CL, cs.LG · ▲ 4`.

    Each name is isolated in its own direction, and no line breaks before a dot.
    """
    by = byline(entry.paper)
    names = names_and_more([isolated(name) for name in by.names], by.more)
    others = [escape(part) for part in (", ".join(fields(entry.paper)), *facts(entry)) if part]
    parts = [names, *others] if names else others
    return Markup("\u00a0· ".join(parts))  # noqa: S704 - each part is escaped


def marked_excerpt(
    paper: PaperView, limit: int, quoted: Sequence[str], words: Sequence[str]
) -> Markup:
    """Return the excerpt with the sentences of `quoted` words, and `words` in `<mark>`."""
    excerpts = excerpts_of(paper, limit)
    return Markup("").join(
        each if isinstance(each, str) else mark(excerpts.pieces[each], words)
        for each in excerpts.lay_out(excerpts.quote(look_for(tuple(quoted))))
    )


def marked_field(code: str) -> Markup:
    """Return what `named_field` does, without a line break after the code."""
    return Markup("{}\u00a0{}").format(code, category_name(code))


def marked_because(reasons: Sequence[Reason]) -> Markup:
    """Return the reason line with the matched words in `<mark>`; empty without reasons."""
    return _marked_because(tuple(reasons))


# Templates first ask whether there is one.
@cached("marked sentences of reasons", maxsize=512)
def _marked_because(reasons: tuple[Reason, ...]) -> Markup:
    pieces = [
        f"<mark>{isolated(piece.text)}</mark>" if piece.is_marked else escape(piece.text)
        for piece in because(reasons)
    ]
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped
