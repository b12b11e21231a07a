"""Withdrawn papers, told by their words: a feed has no other sign of them.

arXiv models a withdrawal as a new version whose abstract or comment says so (help/withdraw).
"""

from __future__ import annotations

import re

from service.papers.domain.types import Announcement, AnnounceType

_THING = r"\b(?:paper|article|submission|manuscript|work|preprint|version|report)\b"
_WORDS = re.compile(
    # "This paper has been withdrawn", "We have withdrawn this paper", "Withdrawn by the author".
    rf"{_THING}[^.]{{0,40}}\b(?:has|have|had|is|was|been|being)\b[^.]{{0,20}}\bwithdrawn\b"
    rf"|\b(?:has|have|had)\s+withdrawn\s+(?:this|the|our)\s+{_THING}"
    r"|\A\W*withdrawn\b",
    re.IGNORECASE,
)

# A later sentence may speak of somebody else's withdrawal; the notice comes first.
_NOTICE_CHARACTERS = 300


def is_withdrawal(told: Announcement) -> bool:
    """Whether an announcement withdraws its paper. Only a replacement can."""
    if told.is_withdrawn:
        return True
    if told.announce_type not in {AnnounceType.REPLACE, AnnounceType.REPLACE_CROSS}:
        return False
    return any(_WORDS.search(text[:_NOTICE_CHARACTERS]) for text in (told.abstract, told.comment))
