"""Draw the picture of a paper: 1200 x 630 pixels, PNG, two ramps of colour and an accent.

Pillow is imported at the first picture, so that processes which draw none do not carry it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, Final

from service.papers.domain.types import PaperView
from service.platform.caches import SizedCache, cached
from service.presentation.dates import plain_date
from service.presentation.highlight import shorten
from service.presentation.phrases import byline, count_of, names_and_more
from service.web.paper_picture.writing import FONT, Piece, Word, write_line, write_words

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 1200, 630
# A picture has some 15 kB.
_MOST_BYTES: Final = 4_000_000
_MARGIN = 72
_SMALL = 32
_BRAND_LINE, _TITLE_TOP, _TITLE_BOTTOM, _RULE, _AUTHORS_LINE, _DATE_LINE = (
    98,
    150,
    478,
    500,
    548,
    592,
)
# The largest that fits is taken; a title is cut at the smallest.
_SIZES: Final = (76, 68, 60, 54, 48)
_LEADING = 1.14
_SCRIPT = 0.66
_MOST_LINE = 120

# One channel: this value is the paper, ink goes up from it and small print down; 0 is the accent.
_PAPER, _INK, _SOFT, _ACCENT = 128, 255, 1, 0
_RGB: Final = {
    _PAPER: (251, 250, 246),
    _INK: (28, 27, 24),
    _SOFT: (95, 91, 82),
    _ACCENT: (168, 50, 28),
}
# So many steps of each ramp are as good to the eye as all, and take half the bytes.
_STEP = 9


@dataclass(frozen=True, slots=True)
class PaperPicture:
    """What a picture says; equal values make equal pictures."""

    brand: str
    title: tuple[Word, ...]
    authors: str
    date: str
    identifier: str


def describe(paper: PaperView, brand: str) -> PaperPicture:
    """Return what the picture of a paper says.

    A title that the font cannot write gives way to the identifier, and such names to their number.
    """
    name = f"arXiv:{paper.identifier}" if paper.key.startswith("arxiv:") else paper.identifier
    identifier = shorten(write_line(name) or "", 60)
    title = write_words(paper.title)
    by = byline(paper)
    authors = write_line(names_and_more(by.names, by.more)) if by.names else ""
    return PaperPicture(
        brand,
        title or ((Piece(identifier or brand),),),
        count_of(len(paper.authors), "author") if authors is None else shorten(authors, _MOST_LINE),
        "Withdrawn by its authors" if paper.is_withdrawn else plain_date(paper.announced_on),
        identifier if title else "",
    )


_pictures: SizedCache[bytes] = SizedCache("pictures of papers", _MOST_BYTES, len)
# FreeType's faces are not for several threads, and one picture at a time is enough.
_drawing = Lock()


def draw(picture: PaperPicture) -> bytes:
    """Return the picture as PNG, from the cache where it was drawn lately."""
    with _drawing:
        return _pictures.get(picture) or _pictures.add(picture, _draw(picture))


def _draw(picture: PaperPicture) -> bytes:
    from PIL import Image, ImageDraw

    image = Image.new("L", (WIDTH, HEIGHT), _PAPER)
    canvas = ImageDraw.Draw(image)
    _draw_frame(canvas, picture)
    size, lines = _fit(picture.title)
    # Somewhat above the middle of its room: the first line's capitals are 0.65 of its size.
    free = _TITLE_BOTTOM - _TITLE_TOP - (len(lines) - 1) * size * _LEADING - 0.65 * size
    top = _TITLE_TOP + 0.65 * size + max(0.0, 0.4 * free)
    for number, line in enumerate(lines):
        _draw_words(canvas, line, size, top + number * size * _LEADING)
    image = image.point(_STEPS)
    image.putpalette(_PALETTE)
    written = BytesIO()
    image.save(written, "PNG", compress_level=6)
    return written.getvalue()


def _draw_frame(canvas: ImageDraw, picture: PaperPicture) -> None:
    right = WIDTH - _MARGIN
    small = _font(_SMALL)
    canvas.rectangle((0, 0, WIDTH, 11), fill=_ACCENT)
    canvas.text((_MARGIN, _BRAND_LINE), picture.brand, _INK, _font(50), anchor="ls")
    canvas.text((right, _BRAND_LINE), picture.date, _SOFT, small, anchor="rs")
    for y in (_BRAND_LINE + 22, _BRAND_LINE + 28):
        canvas.rectangle((_MARGIN, y, right, y + 1), fill=_INK)
    canvas.rectangle((_MARGIN, _RULE, right, _RULE), fill=(_PAPER + _SOFT) // 2)
    for text, y in ((picture.authors, _AUTHORS_LINE), (picture.identifier, _DATE_LINE)):
        canvas.text((_MARGIN, y), _cut(text, small, right - _MARGIN), _SOFT, small, anchor="ls")


@cached("fonts of pictures", maxsize=16)
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    # Not the engine that an installation may lack, so that a picture is the same everywhere.
    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


def _cut(text: str, font: FreeTypeFont, width: float) -> str:
    """Return a line cut at a word until it fits."""
    limit = len(text)
    while text and font.getlength(text) > width:
        limit -= 4
        text = shorten(text, limit)
    return text


def _fit(words: Sequence[Word]) -> tuple[int, list[list[Word]]]:
    """Return the largest size at which a title fits, and its lines; the last may end with `…`."""
    for size in _SIZES:
        lines = list(_break_lines(words, size))
        most = int((_TITLE_BOTTOM - _TITLE_TOP) / (size * _LEADING))
        if len(lines) <= most:
            return size, lines
    last = lines[most - 1]
    while len(last) > 1 and _width([*last, (Piece("…"),)], size) > WIDTH - 2 * _MARGIN:
        last.pop()
    last[-1] = (*last[-1], Piece("…"))
    return size, lines[:most]


def _break_lines(words: Sequence[Word], size: int) -> Iterator[list[Word]]:
    measure, most = partial(_width, size=size), WIDTH - 2 * _MARGIN
    line: list[Word] = []
    for word in words:
        for part in [word] if measure([word]) <= most else _break_word(word, size, most):
            if line and measure([*line, part]) > most:
                yield line
                line = []
            line.append(part)
    if line:
        yield line


def _break_word(word: Word, size: int, most: float) -> Iterator[Word]:
    """Yield parts of a word that is wider than the picture, as wide as a line."""
    part: list[Piece] = []
    width = 0.0
    for piece in (Piece(char, one.level) for one in word for char in one.text):
        width += _piece_width(piece, size)
        if width > most:
            yield tuple(part)
            part, width = [], _piece_width(piece, size)
        part.append(piece)
    yield tuple(part)


def _width(words: Sequence[Word], size: int) -> float:
    pieces = sum(_piece_width(piece, size) for word in words for piece in word)
    return pieces + (len(words) - 1) * _font(size).getlength(" ")


@cached("widths in pictures", maxsize=4_096)
def _piece_width(piece: Piece, size: int) -> float:
    return _font(_size_of(piece, size)).getlength(piece.text)


def _size_of(piece: Piece, size: int) -> int:
    return round(size * _SCRIPT) if piece.level else size


def _draw_words(canvas: ImageDraw, words: Sequence[Word], size: int, y: float) -> None:
    x = float(_MARGIN)
    for word in words:
        for piece in word:
            height = y - piece.level * size * (0.36 if piece.level > 0 else 0.18)
            canvas.text((x, height), piece.text, _INK, _font(_size_of(piece, size)), anchor="ls")
            x += _piece_width(piece, size)
        x += _font(size).getlength(" ")


def _mix(value: int) -> tuple[int, ...]:
    """Return the colour of a value: the accent, or paper mixed with ink or with that of small print."""
    if value == _ACCENT:
        return _RGB[_ACCENT]
    end = _INK if value > _PAPER else _SOFT
    share = (value - _PAPER) / (end - _PAPER)
    return tuple(round(a + (b - a) * share) for a, b in zip(_RGB[_PAPER], _RGB[end], strict=True))


def _step(value: int) -> int:
    if value in {_ACCENT, _SOFT, _INK}:
        return value
    return min(max(_PAPER + round((value - _PAPER) / _STEP) * _STEP, _SOFT), _INK)


_PALETTE: Final = [channel for value in range(256) for channel in _mix(value)]
_STEPS: Final = [_step(value) for value in range(256)]
