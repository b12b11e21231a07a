"""MJML compiled once per shape: a mail's own content is replaced by slots and put back after.

Mails with the same number of sections have the same shape. Compiling MJML takes milliseconds,
filling slots takes microseconds. Content never passes through MJML, so no title can break it.
"""

import re
from itertools import count

import mjml

from service.platform.caches import cached

# Elements whose content or address differs between mails; not their empty form in mj-attributes.
# Both alternatives begin with the same letters, because a literal prefix is ten times faster.
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
    """Return the MJML with numbered slots, and the contents of the slots in order."""
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
def compile_shape(shape: str) -> tuple[str | int, ...]:
    """Return the HTML of a shape in pieces, with the number of the slot where one stands.

    Raises `ValueError` where the shape is not valid MJML.
    """
    # `display:none` alone hides the preheader; spam filters penalise tiny white text.
    html = mjml.mjml2html(shape).replace(_TINY_WHITE, "display:none;", 1)
    # Screen readers jump to the main landmark, and MJML gives its outermost element another role.
    html = html.replace(' role="article"', ' role="main"', 1)
    pieces = _SLOT.split(compact(html))
    return tuple(
        int(piece) if number % 2 else piece for number, piece in enumerate(pieces) if piece
    )


def compact(html: str) -> str:
    # Line breaks and indentation are for people who edit templates; in a mail they cost bytes.
    if "\n " not in html and "\n\n" not in html:
        return html
    return _INDENT.sub("\n", html)
