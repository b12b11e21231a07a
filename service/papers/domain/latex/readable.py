"""Convert authors' TeX to readable text: accents, styles, quotes and simple math, no more.

The rule of INSPIRE and of arXiv's own listing: convert TeX that has an exact plain form, leave
everything else unchanged, never drop a word. Source of the conventions:
https://info.arxiv.org/help/prep.html
"""

import re
import unicodedata

from service.papers.domain.latex.math_mode import plain_math
from service.papers.domain.latex.symbols import FOLDED
from service.papers.domain.latex.text_mode import plain_tex
from service.platform.caches import cached

# C0 except tab and newline, DEL, C1, lone surrogates and non-characters: none can be printed, and
# neither Postgres nor a message can carry all of them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# In arXiv's metadata a line that begins with blanks begins a paragraph; other breaks only wrap.
_PARAGRAPH = re.compile(r"\n(?:[ \t]*\n)+[ \t]*|\n[ \t]+(?=\S)")
_SPECIAL = re.compile(r"[\\${}`~]|''|--")

# `\\` and `\$` come first so that neither can open a formula. The bound keeps hostile text linear.
_FORMULA = re.compile(
    r"\\[\\$]"
    r"|\$\$((?:[^$\\]|\\.){1,2000})\$\$|\$((?:[^$\\]|\\.){1,2000})\$"
    r"|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]",
    re.DOTALL,
)
# "$4 per test and a $42 training cost": two plain words in a row are a sentence, not a formula.
_SENTENCE = re.compile(r"(?:\A|\s)[A-Za-z]{2,},?\s+[A-Za-z]{2,}(?=[\s,.;]|\Z)")
_MATH_SIGNS = re.compile(r"[\\^_{}=]")

_MARK = re.compile("\x00(\\d+)\x01")
_DOUBLE_QUOTED = re.compile("``(.*?)(?:''|(\")|(?=``)|\\Z)", re.DOTALL)
_SINGLE_QUOTED = re.compile(r"(?<![\w`])`([^`'\n]{1,200})'(?!\w)")
# Two primes after a digit are seconds of arc; after a word they close a quotation.
_CLOSING = re.compile(r"(?<=[^\W\d])''|(?<=[.,!?)])''")
# A blank before and a letter after is a command-line option, not a dash.
_DASHES = re.compile(r"(?<!-)(---?)(?!-)(?<!\s--(?=[A-Za-z]))")
_TILDE = re.compile(r"(?<=[^\s(\[/])~(?!\Z)")
_ABOUT = re.compile(r"(?:(?:\A|[\s(])[A-Za-z]|[=<>≤≥])\Z")

# Authors type the acute accent in this French phrase, which has the grave: "\\'a la" is "à la".
_A_LA = re.compile(r"(?<![A-Za-z])\\'(?:a|\{a\})(?=[ ~\n]+la\b)")


def to_readable(text: str) -> str:
    """Return plain text in NFC, one line per paragraph, an empty line between paragraphs.

    Never raises and never drops a word. A formula with no exact form in Unicode and an author's
    own commands stay as they were written.
    """
    printable = _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    paragraphs = (part.replace("\n", " ") for part in _PARAGRAPH.split(printable))
    plain = "\n\n".join(paragraphs)
    if _SPECIAL.search(plain):
        plain = _without_tex(_A_LA.sub("à", plain))
    tidy = (" ".join(part.split()) for part in plain.split("\n\n"))
    return unicodedata.normalize("NFC", "\n\n".join(part for part in tidy if part))


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
            text = _MARK.sub(lambda match: self._passages[int(match[1])], text)
        return text


def _without_tex(text: str) -> str:
    protected = _Protected()
    text = _convert_formulas(text, protected)
    if "\\" in text or "{" in text:
        text = plain_tex(text, protected.protect)
    return protected.restore(_typeset(text))


def _convert_formulas(text: str, protected: _Protected) -> str:
    """Replace every formula by a mark for its plain form, or for itself."""
    out: list[str] = []
    at = 0
    while match := _FORMULA.search(text, at):
        out.append(text[at : match.start()])
        inside = next((group for group in match.groups() if group is not None), None)
        if inside is None:
            out.append(match[0])
            at = match.end()
        elif _is_sentence(inside):
            # The first dollar is money; the second may still open a formula.
            out.append(protected.protect("$"))
            at = match.start() + 1
        else:
            plain = plain_math(inside)
            out.append(protected.protect(match[0] if plain is None else plain))
            at = match.end()
    out.append(text[at:])
    return "".join(out)


def _is_sentence(inside: str) -> bool:
    return bool(_SENTENCE.search(inside)) and not _MATH_SIGNS.search(inside)


def _typeset(text: str) -> str:
    """Replace TeX's input of quotes, dashes and the non-breaking space."""
    if "``" in text:
        text = _DOUBLE_QUOTED.sub(_quoted, text)
    if "`" in text:
        text = _SINGLE_QUOTED.sub(r"‘\1’", text)
    if "''" in text:
        text = _CLOSING.sub("”", text)
    if "--" in text:
        text = _DASHES.sub(lambda match: "—" if match[1] == "---" else "–", text)
    if "~" in text:
        text = _TILDE.sub(_blank_or_about, text)
    return text


def _quoted(match: re.Match[str]) -> str:
    """Return `“…”`; a quotation that never closes gets only its opening mark."""
    is_closed = match[0].endswith(("''", '"'))
    return f"“{match[1]}{'”' if is_closed else ''}"


def _blank_or_about(match: re.Match[str]) -> str:
    """Return a blank for `Run~2`, and the tilde of `z~0.8` and `N~370`, which means "about"."""
    before, after = match.string[: match.start()], match.string[match.end()]
    return "~" if after.isdigit() and _ABOUT.search(before[-2:]) else " "
