"""A withdrawal is told by its words, and only a replacement can be one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.papers.domain.types import Announcement, AnnounceType
from service.papers.domain.works import is_withdrawal

REPLACED = Announcement(
    key="arxiv:2609.00001",
    source="arxiv",
    identifier="2609.00001",
    version=2,
    announce_type=AnnounceType.REPLACE,
    title="A title",
    abstract="An abstract.",
    authors=("Ada Lovelace",),
    categories=("cs.CL",),
)


@pytest.mark.parametrize(
    "words",
    [
        "This paper has been withdrawn by the authors.",
        "This article has been withdrawn due to an error in Lemma 2.",
        "The submission was withdrawn.",
        "THIS MANUSCRIPT IS BEING WITHDRAWN",
        "This report by two authors has\nbeen withdrawn",
        "The authors have withdrawn this paper.",
        "[Withdrawn] by its author",
    ],
)
@pytest.mark.parametrize("field", ["abstract", "comment"])
def test_a_replacement_that_says_so_is_a_withdrawal(field: str, words: str) -> None:
    changes: dict[str, Any] = {field: words}
    assert is_withdrawal(replace(REPLACED, **changes))


@pytest.mark.parametrize(
    "words",
    [
        "We study withdrawn papers at arXiv.",
        "Cash is withdrawn from machines; this paper is about cash.",
        f"{'A long abstract. ' * 20}Their paper has been withdrawn.",
        "Banks have withdrawn the offer.",
        "An abstract.",
    ],
)
def test_a_paper_about_withdrawals_is_none(words: str) -> None:
    assert not is_withdrawal(replace(REPLACED, abstract=words))


@pytest.mark.parametrize(
    ("announce_type", "is_one"),
    [
        (AnnounceType.NEW, False),
        (AnnounceType.CROSS, False),
        (AnnounceType.LISTED, False),
        (AnnounceType.REPLACE, True),
        (AnnounceType.REPLACE_CROSS, True),
    ],
)
def test_only_a_replacement_can_withdraw_by_words(
    announce_type: AnnounceType, is_one: bool
) -> None:
    told = replace(REPLACED, announce_type=announce_type, abstract="This paper has been withdrawn.")
    assert is_withdrawal(told) is is_one


def test_a_source_that_says_so_itself_is_believed() -> None:
    assert is_withdrawal(replace(REPLACED, announce_type=AnnounceType.LISTED, is_withdrawn=True))
