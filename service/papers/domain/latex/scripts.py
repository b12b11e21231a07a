r"""Plain forms of superscripts and subscripts.

Unicode's own characters where it has all of them and they are no word (`10⁻¹⁶`, `xᵢ`, `PM₂.₅`), and
else the input of TeX, with brackets where the script is more than one word or number (`N_eff`,
`10^14.6`, `f^(−α/2)`). A search for "eff" or "max" finds such a word; ₘₐₓ it would not find.
"""

from typing import Final

from service.papers.domain.latex import symbols

_ORDINALS: Final = {"st", "nd", "rd", "th"}
_SIGNS: Final = "+−±∓"
# Three italic letters in a row are indices. Longer runs are words that lack their `\rm`, as are these.
_LONGEST_INDICES: Final = 3
_SHORT_WORDS: Final = frozenset(
    ["max", "min", "tot", "sun", "sat", "vel", "rms", "sys", "out", "tan"]
)
_BRACKETS: Final = "()[]{}⟨⟩|"
_SMALL: Final = {*symbols.SUPERSCRIPTS.values(), *symbols.SUBSCRIPTS.values()}


def shift(text: str, sign: str, *, is_upright: bool) -> str:
    """Return a script's plain form; `sign` is `^` or `_`, `text` is plain already.

    The result is linear, in TeX's own way, where it begins with the sign.
    """
    compact = "".join(text.split())
    if not compact or (sign == "^" and compact in _ORDINALS):
        # `1\textsuperscript{st}` becomes 1st, not 1ˢᵗ, which no search would find.
        return compact
    if not _is_word(compact, is_upright=is_upright):
        shaped = _shaped(compact, sign)
        if shaped is not None:
            return shaped
    linear = _tight(text) if is_upright else _tight(text).replace("-", "−")
    if is_upright and linear[0] == "-":
        linear = f"−{linear[1:]}"
    return f"{sign}{linear}" if is_simple(linear) else f"{sign}({linear})"


def is_simple(linear: str) -> bool:
    """Return whether a script can stand without brackets: one word, number or symbol."""
    bare = linear[1:] if linear[0] in _SIGNS and len(linear) > 1 else linear
    is_word = bare.isalnum() and _SMALL.isdisjoint(bare)
    return is_word or _is_decimal(bare) or (len(linear) == 1 and linear not in _BRACKETS)


def closed(plain: str) -> str:
    """Return a formula with brackets round a last script that a letter after it would lengthen."""
    at = max(plain.rfind("_"), plain.rfind("^"))
    script = plain[at + 1 :]
    if at < 0 or not script or script[-1] == ")" or not is_simple(script):
        return plain
    return f"{plain[: at + 1]}({script})"


def _is_word(text: str, *, is_upright: bool) -> bool:
    if len(text) < 2 or not (text.isascii() and text.isalpha()):
        return False
    return is_upright or len(text) > _LONGEST_INDICES or text in _SHORT_WORDS


def _is_decimal(text: str) -> bool:
    whole, dot, part = text.partition(".")
    return text.isascii() and bool(dot) and whole.isdigit() and part.isdigit()


def _shaped(text: str, sign: str) -> str | None:
    """Return the text in Unicode's small characters, if it has them all."""
    if sign == "_" and _is_decimal(text):
        return "".join("." if digit == "." else symbols.SUBSCRIPTS[digit] for digit in text)
    table = symbols.SUPERSCRIPTS if sign == "^" else symbols.SUBSCRIPTS
    shaped = [table.get(character) for character in text]
    return None if None in shaped else "".join(part for part in shaped if part is not None)


def _tight(text: str) -> str:
    """Return the text with blanks only between words: `a + b` is `a+b`."""
    words = text.split()
    out = words[0]
    for word in words[1:]:
        is_between_words = out[-1].isalnum() and word[0].isalnum()
        out += f" {word}" if is_between_words else word
    return out
