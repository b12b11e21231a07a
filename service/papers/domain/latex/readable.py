"""Convert authors' TeX to readable text: accents, styles, quotes and simple math, no more.

The rule of INSPIRE and of arXiv's own listing: convert TeX that has an exact plain form, leave
everything else unchanged, never drop a word. Source of the conventions:
https://info.arxiv.org/help/prep.html
"""

import unicodedata

from service.papers.domain.latex.math_mode import plain_math
from service.papers.domain.latex.scan import formulas
from service.papers.domain.latex.scripts import closed
from service.papers.domain.latex.symbols import FOLDED
from service.papers.domain.latex.text_mode import plain_tex
from service.platform import linear_regex
from service.platform.caches import cached
from service.platform.linear_regex import Match

# C0 except tab and newline, DEL, C1, lone surrogates and non-characters: none can be printed, and
# neither Postgres nor a message can carry all of them.
_UNPRINTABLE = dict.fromkeys(
    [
        *range(9),
        *range(0xB, 0x20),
        *range(0x7F, 0xA0),
        *range(0xD800, 0xE000),
        *range(0xFDD0, 0xFDF0),
        *(0xFFFE, 0xFFFF),
    ]
)
# In arXiv's metadata a line that begins with blanks begins a paragraph; other breaks only wrap.
_PARAGRAPH = linear_regex.compile(r"\n(?:[ \t]*\n)+[ \t]*|\n[ \t]+")
_SPECIAL = ("\\", "$", "{", "}", "`", "~", "''", "--")

# "$4 per test and a $42 training cost": two plain words in a row are a sentence, not a formula.
_SENTENCE = linear_regex.compile(r"(?:\A|\s)[A-Za-z]{2,},?\s+[A-Za-z]{2,}(?:[\s,.;]|\Z)")

_ENDS_QUOTE = linear_regex.compile("''|\"")
_SINGLE_QUOTED = linear_regex.compile(r"(^|[^\w`])`([^`'\n]{1,200})'")
# Two primes after a digit are seconds of arc; after a word they close a quotation.
_CLOSING = linear_regex.compile(r"([\pL\p{Nl}\p{No}_.,!?)])''")
# Authors also open a quotation by the closing mark: `''zoom in"`.
_OPENING = linear_regex.compile(r"""(\A|[\s(\[])''([\pL\pN](?:[^'"\n]|'[^'"\n]){0,200}?)(?:''|")""")
_RANGE = linear_regex.compile(r"(\A|[\s(+±≈∼~\x01])(\d+(?:\.\d+)?)(%?)~(\d+(?:\.\d+)?)(%?)(\w?)")
# A blank before and a letter after is a command-line option, not a dash.
_DASHES = linear_regex.compile(r"-{2,}")
_TILDE = linear_regex.compile(r"~")
_ABOUT = linear_regex.compile(r"(?:(?:\A|[\s(])[A-Za-z]|[=<>≤≥])\Z")

# Authors type the acute accent in this French phrase, which has the grave: "\\'a la" is "à la".
_A_LA = linear_regex.compile(r"(^|[^A-Za-z])\\'(?:a|\{a\})([ ~\n]+la)([^\w]|\Z)")


def to_readable(text: str) -> str:
    """Return plain text in NFC, one line per paragraph, an empty line between paragraphs.

    Never raises and never drops a word. A formula with no exact form in Unicode and an author's
    own commands stay as they were written.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if not lines.replace("\n", " ").isprintable():
        lines = lines.translate(_UNPRINTABLE)
    plain = lines
    if "\n" in lines:
        plain = "\n\n".join(part.replace("\n", " ") for part in _PARAGRAPH.split(lines))
    if any(sign in plain for sign in _SPECIAL):
        plain = _without_tex(plain)
    tidy = map(_tidy, plain.split("\n\n"))
    return unicodedata.normalize("NFC", "\n\n".join(part for part in tidy if part))


def _tidy(paragraph: str) -> str:
    if "  " not in paragraph and paragraph.isprintable():
        return paragraph.strip()
    return " ".join(paragraph.split())


def to_readable_line(text: str) -> str:
    """Return the same on one line, for titles, names and comments, which sources wrap."""
    return to_readable(" ".join(text.split()))


@cached("folded texts", maxsize=65_536)
def fold(text: str) -> str:
    """Return the text in lower case without accents: `Müller` and `MULLER` are `muller`."""
    lowered = unicodedata.normalize("NFKD", text).casefold().translate(FOLDED)
    return "".join(c for c in lowered if not unicodedata.combining(c))


class _Protected:
    """Passages that no later step may change, each replaced in the text by a short mark."""

    def __init__(self) -> None:
        self._passages: list[str] = []

    def protect(self, passage: str) -> str:
        self._passages.append(passage)
        return f"\x00{len(self._passages) - 1}\x01"

    def restore(self, text: str) -> str:
        # A passage may hold an earlier mark (a formula in a link's text), never a later one.
        while "\x00" in text:
            before, *marked = text.split("\x00")
            pieces = [before]
            for piece in marked:
                number, _, following = piece.partition("\x01")
                pieces += (self._passages[int(number)], following)
            text = "".join(pieces)
        return text


def _without_tex(text: str) -> str:
    protected = _Protected()
    if r"\'a" in text or r"\'{a" in text:
        text = _A_LA.sub(lambda found: f"{found[1]}à{found[2]}{found[3]}", text)
    text = _convert_formulas(text, protected)
    if "\\" in text or "{" in text:
        text = plain_tex(text, protected.protect)
    return protected.restore(_typeset(text))


def _convert_formulas(text: str, protected: _Protected) -> str:
    """Replace every formula by a mark for its plain form, or for itself."""
    out: list[str] = []
    at = 0
    for start, end, inside in formulas(text, _is_sentence):
        plain = "$" if inside is None else plain_math(inside)
        if plain is None:
            plain = text[start:end]
        elif text[end : end + 1].isalnum():
            plain = closed(plain)
        out += (text[at:start], protected.protect(plain))
        at = end
    return "".join((*out, text[at:]))


def _is_sentence(inside: str) -> bool:
    """Return whether this is prose between two amounts of money, and not a formula."""
    if " " not in inside or any(sign in inside for sign in "\\^_{}="):
        return False
    return bool(_SENTENCE.search(inside))


def _typeset(text: str) -> str:
    """Replace TeX's input of quotes, dashes and the non-breaking space."""
    if "``" in text:
        first, *quoted = text.split("``")
        text = "".join([first, *map(_quote, quoted)])
    if "`" in text:
        text = _SINGLE_QUOTED.sub(_quote_single, text)
    if "''" in text:
        text = _OPENING.sub(lambda found: f"{found[1]}“{found[2]}”", text)
        text = _CLOSING.sub(lambda found: f"{found[1]}”", text)
    if "--" in text:
        text = _DASHES.sub(_dash, text)
    if "~" in text:
        text = _RANGE.sub(_range, text)
        text = _TILDE.sub(_blank_or_about, text)
    return text


def _quote(text: str) -> str:
    """Return what follows an opening mark as `“…”`; without a closing one, only the mark."""
    if end := _ENDS_QUOTE.search(text):
        return f"“{text[: end.start()]}”{text[end.end() :]}"
    return f"“{text}"


def _quote_single(match: Match[str]) -> str:
    """Return `‘…’`, unless a letter follows, before which the mark is an apostrophe."""
    following = match.string[match.end() : match.end() + 1]
    if following.isalnum() or following == "_":
        return match[0]
    return f"{match[1]}‘{match[2]}’"


def _dash(match: Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    is_option = before.isspace() and after.isascii() and after.isalpha()
    if len(match[0]) == 2 and not is_option:
        return "–"
    return "—" if len(match[0]) == 3 else match[0]


def _range(match: Match[str]) -> str:
    """Return `12%–18%`, where a tilde stands between two numbers of which the second is greater."""
    before, first, percent, last, last_percent, letter = match.groups()
    if (percent and not last_percent) or float(first) >= float(last):
        return match[0]
    return f"{before}{first}{percent}–{last}{last_percent}{letter}"


def _blank_or_about(match: Match[str]) -> str:
    """Return a blank for `Run~2`, and the tilde of `z~0.8` and `N~370`, which means "about"."""
    before, after = match.string[: match.start()][-2:], match.string[match.end() :][:1]
    if not after or not before or before[-1].isspace() or before[-1] in "([/":
        return "~"
    return "~" if after.isdigit() and _ABOUT.search(before) else " "
