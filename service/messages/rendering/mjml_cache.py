"""MJML once per shape: what changes from mail to mail is taken out before and put back after.

Two mails with as many sections have the same shape, and MJML takes milliseconds where putting the
words back takes microseconds. The words never pass through MJML, so no title can break it.
"""

import re
from itertools import count

import mjml

from service.platform.caches import cached

# Elements whose content or address is a mail's own; their empty form stands in mj-attributes.
# Both kinds begin alike, because a search for plain letters is ten times faster.
_OWN = re.compile(
    r"<mj-(?:(?P<name>text|title|preview)(?P<options>(?:\s[^>]*)?)(?<!/)>(?P<content>.*?)</mj-(?P=name)>"
    r'|(?P<before>(?:button|image)\s[^>]*?\b(?:href|src)=")(?P<address>[^"]*))',
    re.DOTALL,
)
_SLOT = re.compile(r"https://slot-(\d+)\.invalid")
_INDENT = re.compile(r"\n\s*")
_TINY_WHITE = "display:none;font-size:1px;color:#ffffff;line-height:1px;"
_SHAPES_KEPT = 128


def split_shape(markup: str) -> tuple[str, list[str]]:
    """The MJML without what is this mail's own, and that, in its order."""
    contents: list[str] = []
    numbers = count()

    def take(found: re.Match[str]) -> str:
        slot = f"https://slot-{next(numbers)}.invalid"
        if found["name"]:
            contents.append(compact(found["content"]).strip())
            return f"<mj-{found['name']}{found['options']}>{slot}</mj-{found['name']}>"
        contents.append(found["address"])
        return f"<mj-{found['before']}{slot}"

    return _OWN.sub(take, markup), contents


@cached("MJML shapes", maxsize=_SHAPES_KEPT)
def press_shape(shape: str) -> tuple[str | int, ...]:
    """The HTML of a shape, with the number of a content where it was taken out.

    Raises `ValueError` where the shape is no MJML.
    """
    # `display:none` hides the preheader; tiny white letters are what spam filters look for.
    html = mjml.mjml2html(shape).replace(_TINY_WHITE, "display:none;", 1)
    pieces = _SLOT.split(compact(html))
    return tuple(
        int(piece) if is_slot else piece
        for is_slot, piece in ((number % 2, piece) for number, piece in enumerate(pieces))
        if piece
    )


def compact(html: str) -> str:
    # Templates are written in lines for people; mail programs count the bytes.
    if "\n " not in html and "\n\n" not in html:
        return html
    return _INDENT.sub("\n", html)
