"""The switches `new:`, `cross:` and `replaced:`: which announcements count for the whole topic."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

from service.topics.domain.language.lexer import SWITCHES, LexerToken
from service.topics.domain.language.syntax_tree import And, Announced, Query

_VALUES = {"": True, "yes": True, "on": True, "no": False, "off": False}
_NOTHING_LEFT = "These switches exclude every announcement"


def split_switches(
    text: str, tokens: Sequence[LexerToken]
) -> tuple[tuple[LexerToken, ...], Announced]:
    """Return the tokens without switches, and the announcements that the switches select.

    A switch concerns the whole topic, so it may stand anywhere, also beside an OR, but not inside
    parentheses, where it seems to concern a part: that raises `QueryError`.
    """
    remaining: list[LexerToken] = []
    default = Announced()
    chosen = {name: bool(getattr(default, name)) for name in SWITCHES}
    depth, last = 0, None
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        if token.field not in SWITCHES:
            remaining.append(token)
            continue
        if depth > 0:
            message = f"{token.field}: concerns the whole topic"
            raise token.error(text, message, "Write it outside the parentheses.")
        is_negated = False
        while remaining and remaining[-1].kind == "not":
            remaining.pop()
            is_negated = not is_negated
        chosen |= _turned(token, text, is_negated=is_negated)
        last = token
    if last is not None and not any(chosen.values()):
        raise last.error(text, _NOTHING_LEFT, "Leave one of them on.")
    announced = Announced(chosen["new"], chosen["cross"], chosen["replaced"])
    return tuple(_without_idle_ands(remaining, tokens)), announced


def _turned(token: LexerToken, text: str, *, is_negated: bool) -> dict[str, bool]:
    """Return the values that one switch sets."""
    value = token.text.lower()
    if value == "only" and not is_negated:
        return {name: name == token.field for name in SWITCHES}
    if value not in _VALUES or (is_negated and not _VALUES[value]):
        hint = f"Write {token.field}:yes, {token.field}:no or {token.field}:only."
        raise token.error(text, f"{token.field}: is yes, no or only", hint)
    return {token.field: _VALUES[value] is not is_negated}


def _without_idle_ands(
    remaining: Sequence[LexerToken], tokens: Sequence[LexerToken]
) -> list[LexerToken]:
    """Return `remaining` without each AND that only joined a switch to the rest."""
    pairs = [pair for pair in pairwise(tokens) if any(each.field in SWITCHES for each in pair)]
    beside_switch = set(chain.from_iterable(pairs))
    return [each for each in remaining if each.kind != "and" or each not in beside_switch]


def write_switches(announced: Announced) -> str:
    """Return the shortest switches for `announced`; empty for the default."""
    values = {name: getattr(announced, name) for name in SWITCHES}
    wanted = [name for name, is_wanted in values.items() if is_wanted]
    if len(wanted) == 1:
        return f"{wanted[0]}:only"
    default = Announced()
    return " ".join(
        f"{name}:{'yes' if is_wanted else 'no'}"
        for name, is_wanted in values.items()
        if is_wanted is not getattr(default, name)
    )


def bind_home(query: Query, patterns: tuple[str, ...]) -> Query:
    """Return `query` with these category patterns as the `home` of its `Announced`."""
    if isinstance(query, Announced):
        return replace(query, home=patterns)
    if isinstance(query, And):
        return And(tuple(bind_home(each, patterns) for each in query.operands))
    return query
