"""Sentences of an abstract: where they begin and end.

A dot ends a sentence unless it belongs to an abbreviation (`e.g.`, `et al.`, `Fig. 3`), an initial, a
number of a list, or stands inside brackets or a formula. Decimals and versions (`3.5`, `v1.2`) have
no space after their dot, so they are never asked about.
"""

import re
from collections.abc import Iterator

# What may end a sentence: white space follows, but in scripts that are written without it. The pattern
# begins with one set of characters, as that is searched fast.
_END = re.compile(r"[.!?。！？](?:(?<=[。！？])|[\"'”’)\]]*(?=\s))")
# With the last token of the text before, its dot included. These go on unless a sentence clearly opens.
_ABBREVIATION = re.compile(
    r"(?:e\.g|i\.e|a\.k\.a|w\.r\.t|s\.t|cf|vs|viz|ca|al|etc|resp|approx|est|incl|esp|max|min|avg"
    r"|figs?|eqs?|eqns?|secs?|sects?|refs?|tabs?|chap|thm|lem|prop|def|cor|no|nos|vol|pp?|ver|v"
    r"|st|dr|prof|mr|mrs|ms|jr|inc|ltd|corp|co|dept|univ|gov|u\.s|u\.k"
    r"|phys|rev|lett|astron|astrophys|mon|soc|math|comm|proc|trans|conf|int|nucl|sci|"
    r"[^\W\d_])\.$",
    re.IGNORECASE,
)
_ALWAYS_GOES_ON = re.compile(
    r"(?:e\.g|i\.e|cf|vs|viz|figs?|eqs?|eqns?|secs?|refs?|dr|prof|mr|mrs)\.$", re.IGNORECASE
)
_LIST_NUMBER = re.compile(r"(?:^|[:;.,]\s|\s\()\(?(?:\d{1,2}|[ivx]{1,4})\.$")
# Words that open a sentence of an abstract far more often than they go on after an abbreviation.
_OPENER = re.compile(
    r"(?:We|The|This|These|Those|Our|In|It|Its|However|Here|To|For|While|Although|As|An|On|By|With|From"
    r"|Using|Based|Moreover|Furthermore|Additionally|Finally|Thus|Therefore|Hence|Results?|Experiments?"
    r"|Both|Such|They|Their|There|When|Through|At|After|Since|If|Motivated|Specifically|Code)\b"
)
# "iPhone", "mRNA", "scGPT" and "t-SNE" may open a sentence; other small letters do not.
_MIXED_CASE = re.compile(r"[\"'“‘(\[]*[a-z][a-z-]{0,4}[A-Z]")
_NEXT = re.compile(r"\s*")
# Longer than the longest abbreviation with its dot and what stands before it.
_TAIL = 14
# A bracket that is longer than this was never closed.
_LONGEST_BRACKET = 300


def sentence_ends(text: str) -> Iterator[int]:
    """Yield the offset at which each sentence ends, without the white space that follows."""
    start = 0
    for found in _END.finditer(text):
        if _ends_here(text, start, found):
            start = found.end()
            yield start


def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Return the start and end of each sentence, without white space around it."""
    spans: list[tuple[int, int]] = []
    start = 0
    for end in (*sentence_ends(text), len(text)):
        begin = _NEXT.match(text, start, end)
        start = begin.end() if begin else start
        if start < end and text[start:end].strip():
            spans.append((start, start + len(text[start:end].rstrip())))
        start = end
    return tuple(spans)


def _ends_here(text: str, start: int, found: re.Match[str]) -> bool:
    mark = text[found.start()]
    if mark in "。！？":
        return True
    following = _NEXT.match(text, found.end())
    rest = following.end() if following else found.end()
    if rest == len(text):
        return True
    is_opener = _OPENER.match(text, rest) is not None
    if text[rest].islower() and not _MIXED_CASE.match(text, rest):
        return False
    if mark == "." and not is_opener_after(text, start, found.start() + 1, is_opener=is_opener):
        return False
    return not _is_inside(text, start, found.end())


def is_opener_after(text: str, start: int, stop: int, *, is_opener: bool) -> bool:
    """Return whether the dot before `stop` ends a sentence, as far as its own word tells."""
    tail = text[max(start, stop - _TAIL) : stop]
    word = tail[max(tail.rfind(" "), tail.rfind("("), tail.rfind("["), tail.rfind("\n")) + 1 :]
    if _LIST_NUMBER.search(tail) or (tail == word and _LIST_NUMBER.match(tail)):
        return False
    if _ALWAYS_GOES_ON.fullmatch(word):
        return False
    return is_opener or not _ABBREVIATION.fullmatch(word)


def _is_inside(text: str, start: int, end: int) -> bool:
    """Return whether a bracket or a formula is open at `end` that is closed later."""
    if text.count("$", start, end) % 2 and "$" in text[end : end + _LONGEST_BRACKET]:
        return True
    opened = text.count("(", start, end) - text.count(")", start, end)
    if opened <= 0:
        return False
    closing = text.find(")", end, end + _LONGEST_BRACKET)
    opening = text.find("(", end, end + _LONGEST_BRACKET)
    return closing >= 0 and (opening < 0 or closing < opening)
