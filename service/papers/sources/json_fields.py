"""Parse any provider's JSON: refuse what is too large, too deep, or no JSON."""

import json
from typing import Final

from service.papers.domain.record_limits import NO_CHARACTER, NO_TEXT
from service.papers.sources.base import SourceUnreadable

# A page of bioRxiv has 30 rows in 100 kB, a list of Hugging Face 100 papers in 2 MB.
_MOST_BYTES: Final = 16 * 1024 * 1024
# Memory grows with a document's lists and objects more than with its bytes.
_MOST_PARTS: Final = 500_000
# More digits than any count or limit, and few enough to convert: Python refuses 4,301.
_MOST_DIGITS: Final = 19
# Bytes that are no UTF-8, as `surrogateescape` decodes them.
_NO_TEXTS: Final = dict.fromkeys(range(0xDC80, 0xDD00), NO_TEXT)
_HALVES: Final = dict.fromkeys(range(0xD800, 0xE000), NO_CHARACTER)


def parse_json(payload: bytes, what: str) -> object:
    """Return a whole document; `what` names its kind in errors. Raises SourceUnreadable.

    A number of thousands of digits becomes one of 19, which is still too large for every field. A
    mark stands for each half of a pair, as in XML: patterns would make it an ordinary character.
    """
    parts = payload.count(b"{") + payload.count(b"[")
    if len(payload) > _MOST_BYTES or parts > _MOST_PARTS:
        raise SourceUnreadable(f"not {what}: the answer is too large to be one")
    try:
        text = _text(payload)
        answer: object = json.loads(text, parse_int=lambda digits: int(digits[:_MOST_DIGITS]))
        return _without_halves(answer)
    except json.JSONDecodeError as error:
        if NO_TEXT in error.doc:
            raise SourceUnreadable(f"not {what}: not readable as JSON, line 1") from error
        where = f"line {error.lineno} column {error.colno}"
        raise SourceUnreadable(f"not {what}: {error.msg}, {where}") from error
    except RecursionError as error:
        raise SourceUnreadable(f"not {what}: not readable as JSON, line 1") from error


def _text(payload: bytes) -> str:
    """Return the text of UTF-8, with a mark for each byte that is none: it costs only its record."""
    escaped = payload.decode("utf-8-sig", "surrogateescape")
    return escaped if escaped.isascii() else escaped.translate(_NO_TEXTS)


def _without_halves(answer: object) -> object:
    text = json.dumps(answer, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        whole: object = json.loads(text.translate(_HALVES))
        return whole
    return answer
