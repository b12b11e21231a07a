"""Keys overlap exactly where `author_matches` finds the person: no more, no less."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.papers.domain.author_keys import MAX_MIDDLE_NAMES, author_index_keys, author_query_keys
from service.papers.domain.author_names import author_key, author_matches


def overlaps(query: str, name: str) -> bool:
    return not author_query_keys(query).isdisjoint(author_index_keys(name))


@pytest.mark.parametrize(
    ("query", "name", "is_match"),
    [
        ("Yoshua Bengio", "Yoshua Bengio", True),
        ("bengio", "Yoshua Bengio", True),
        ("Y. Bengio", "Yoshua Bengio", True),
        ("Yoshua Bengio", "Y. Bengio", True),
        ("Y. Bengio", "Y. Bengio", True),
        ("Bengio, Yoshua", "Yoshua Bengio", True),
        ("Yoshua Bengio", "Samy Bengio", False),
        ("S. Bengio", "Yoshua Bengio", False),
        ("yoshua", "Yoshua Bengio", False),
        ("John Smith", "John A. Smith", True),
        ("John A. Smith", "John Smith", True),
        ("John A. Smith", "John Adam Smith", True),
        ("John Adam Smith", "John A. B. Smith", True),
        ("John A. Smith", "John B. Smith", False),
        ("John A. B. Smith", "John B. A. Smith", False),
        ("John Smith", "John Smith Jr.", True),
        ("van der Maaten", "Laurens van der Maaten", True),
        ("der Maaten", "Laurens van der Maaten", True),
        ("Maaten", "Laurens van der Maaten", True),
        ("L. Maaten", "Laurens van der Maaten", True),
        ("ATLAS", "ATLAS Collaboration", True),
        ("ATLAS Collaboration", "ATLAS", True),
        ("the ATLAS Collaboration", "ATLAS team", True),
        ("CMS Collaboration", "ATLAS Collaboration", False),
        ("...", "Yoshua Bengio", False),
        ("Yoshua Bengio", "", False),
    ],
)
def test_a_name_is_found_by_what_may_stand_for_it(query: str, name: str, is_match: bool) -> None:
    assert overlaps(query, name) is is_match
    assert (author_matches(query, name) is not None) is is_match


WORDS = st.sampled_from(
    [
        *("yoshua", "y", "yann", "bengio", "b", "anna", "a", "maria", "m", "smith", "s", "van"),
        *(
            "der",
            "le",
            "cun",
            "jr",
            "III",
            "v",
            "the",
            "of",
            "atlas",
            "collaboration",
            "team",
            "É.",
        ),
    ]
)
NAMES = st.lists(WORDS, max_size=MAX_MIDDLE_NAMES + 2).map(" ".join)


@settings(max_examples=2000)
@given(NAMES, NAMES)
def test_keys_agree_with_author_matches_on_made_up_names(query: str, name: str) -> None:
    assert overlaps(query, name) is (author_matches(query, name) is not None)


@given(st.lists(st.sampled_from(["a", "anna", "b", "bert", "c"]), min_size=2, max_size=6))
def test_leaving_out_or_shortening_middle_names_still_finds(words: list[str]) -> None:
    for at in range(1, len(words) - 1):
        without = " ".join(words[:at] + words[at + 1 :])
        shortened = " ".join([*words[:at], words[at][0], *words[at + 1 :]])
        assert overlaps(without, " ".join(words))
        assert overlaps(" ".join(words), without)
        assert overlaps(shortened, " ".join(words))


def test_a_very_long_name_has_few_keys_and_still_finds_itself() -> None:
    name = " ".join(f"name{number}" for number in range(40))
    assert len(author_index_keys(name)) < 170
    assert overlaps(name, name)


@given(st.text(max_size=30))
def test_any_name_with_a_key_finds_itself(name: str) -> None:
    assert overlaps(name, name) is bool(author_key(name))


@given(st.text(max_size=30))
def test_a_key_is_its_own_key(name: str) -> None:
    assert author_key(author_key(name)) == author_key(name)


@pytest.mark.real
def test_keys_agree_with_author_matches_on_real_names(real_data: Path) -> None:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        names = {name for line in islice(lines, 3000) for name in json.loads(line)["authors"]}
    by_family: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_family[(author_key(name).split() or [""])[-1]].append(name)
    pairs = [
        (query, name)
        for family in by_family.values()
        for query in family[:12]
        for name in family[:40]
    ]
    wrong = [pair for pair in pairs if overlaps(*pair) is not (author_matches(*pair) is not None)]
    assert len(pairs) > 20_000
    assert wrong == []
