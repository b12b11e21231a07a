"""An operator's note: Markdown as HTML for mails and pages, without HTML of its own and without pictures."""

from markdown_it import MarkdownIt
from markupsafe import Markup

from service.platform.caches import cached
from service.presentation.sanitize import clean, safe_url

# A note is a few paragraphs: headings would compete with those of the topics, and pictures would come
# from other hosts.
_OFF = ["heading", "lheading", "image", "html_block", "html_inline", "reference"]


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).disable(_OFF)
    parser.validateLink = lambda url: bool(safe_url(url))  # type: ignore[method-assign]  # as its manual says
    return parser


_PARSER = _make_parser()


# A mail's style sheet takes the margins of these away.
_MAIL_STYLES = {
    "paragraph_open": "padding:5px 0",
    "bullet_list_open": "padding:0 0 0 22px",
    "ordered_list_open": "padding:0 0 0 22px",
    "blockquote_open": "margin:0;padding:0 0 0 14px",
}


@cached("notes", maxsize=64)
def note_html(note: str) -> Markup:
    """Return a note as HTML. What looks like HTML is shown as it was typed; only http(s) links are links."""
    return Markup(_PARSER.render(clean(note)))  # noqa: S704  # the parser escapes all text


@cached("notes in mails", maxsize=64)
def mail_note(note: str) -> Markup:
    """Return a note as HTML for a mail, with the distances between its paragraphs."""
    tokens = _PARSER.parse(clean(note))
    for token in tokens:
        if style := _MAIL_STYLES.get(token.type):
            token.attrSet("style", style)
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {}))  # noqa: S704  # as above
