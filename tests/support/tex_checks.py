r"""What a conversion of TeX left raw and what it lost, found without the converter's own rules.

Raw is a command, a script in braces, or a dollar that is no money. Lost is a letter or digit of the
source that does not follow the ones before it in the plain text; both are read without accents,
styles and case, and without commands, which are names and no words.
"""

import re
import unicodedata

_RAW = re.compile(r"\\[A-Za-z]+|\\[()\[\]{}]|[_^]\{|\$[^$]*\$|\$(?![\d ])")
# The name of a colour is an instruction; `\b{eta}` is how an archive damaged `\beta`.
_INSTRUCTION = re.compile(
    r"\\(?:text)?color\{[^}]*\}|\\[bk]\{(?:eta|appa)\}|\\[rc]\{h[oi]\}|\\unicode\{[^}]*\}"
    r"|\\(?:begin|end)\{[a-z*]+\}"
)
# Of `\texorpdfstring{$x$}{x}` only the second is shown.
_TWICE = re.compile(r"\\texorpdfstring\s*\{[^{}]*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}[^{}]*)*\}")
_LINK = re.compile(
    r"\\href\s*\{([^{}]*)\}\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
)
_COMMAND = re.compile(r"\\[A-Za-z]+|\\.", re.DOTALL)
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "ȷ": "j", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
)


def raw_pieces(plain: str) -> list[str]:
    """Return the pieces of a plain text that are still TeX."""
    return _RAW.findall(plain)


def lost_text(source: str, plain: str) -> str:
    """Return the first letters and digits of the source that the plain text lacks, or nothing."""
    shown = _bare(plain)
    for address, text in _LINK.findall(source):
        if _bare(_COMMAND.sub(" ", address)) not in shown:
            return str(address or text)
    told = _LINK.sub(lambda link: link[2], _TWICE.sub(" ", source))
    wanted = _bare(_COMMAND.sub(" ", _INSTRUCTION.sub("", told)))
    rest = iter(shown)
    for at, letter in enumerate(wanted):
        if letter not in rest:
            return wanted[at : at + 20]
    return ""


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())
