"""The text and links of a mail's HTML part, for comparison with its text part."""

import re
import unicodedata
from html.parser import HTMLParser

from service.presentation.sanitize import clean

ALLOWED_TAGS = {
    "a", "b", "bdi", "body", "br", "code", "div", "h1", "h2", "h3", "head", "html", "li", "mark",
    "meta", "ol", "p", "span", "style", "sub", "sup", "table", "tbody", "td", "title", "tr", "ul",
}  # fmt: skip

_SCRIPT_SIGNS = re.compile(r"[\s_^()]+")


class Page(HTMLParser):
    """The tags, links and words that a mail program sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.attributes: list[str] = []
        self.is_style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.is_style = tag == "style"
        self.attributes += [name for name, _ in attrs]
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self.is_style = False

    def handle_data(self, data: str) -> None:
        if not self.is_style:
            self.words.append(data)

    @property
    def shown_text(self) -> str:
        return " ".join("".join(self.words).split())


def letters(text: str) -> str:
    """Return a text without white space, to compare only its words: lines may break anywhere.

    Without the signs of scripts, too, which HTML sets as `<sub>` and `<sup>` instead.
    """
    return _SCRIPT_SIGNS.sub("", unicodedata.normalize("NFKD", clean(text)))


def paragraphs(text: str) -> str:
    return " ".join(text.split())
