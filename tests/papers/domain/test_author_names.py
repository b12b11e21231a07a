"""Author names: splitting a string into names, and matching a name against a query."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.papers.domain.author_keys import MAX_MIDDLE_NAMES, author_index_keys, author_query_keys
from service.papers.domain.author_names import author_key, author_matches, split_authors


@pytest.mark.parametrize(
    ("creator", "names"),
    [
        ("", ()),
        ("Ada Lovelace", ("Ada Lovelace",)),
        ("Ada Lovelace, Alan Turing", ("Ada Lovelace", "Alan Turing")),
        ("Ada Lovelace and Alan Turing", ("Ada Lovelace", "Alan Turing")),
        ("A. Roe, B. Roe, and C. Roe", ("A. Roe", "B. Roe", "C. Roe")),
        ("A. Roe; B. Roe & C. Roe", ("A. Roe", "B. Roe", "C. Roe")),
        ("  A.  Roe ,, B.\nRoe, ", ("A. Roe", "B. Roe")),
        ("A. Roe, :, B. Roe", ("A. Roe", "B. Roe")),
        ("A. Roe (MIT, Boston), B. Roe (ETH)", ("A. Roe", "B. Roe")),
        ("A. Roe (1), B. Roe (1 and 2) ((1) Univ. of X (Y, Z), (2) CERN)", ("A. Roe", "B. Roe")),
        ("A. Roe (MIT, B. Roe", ("A. Roe (MIT", "B. Roe")),
        ("A. Roe), B. Roe", ("A. Roe)", "B. Roe")),
        ("Wei (Tony) Zhang, B. Roe", ("Wei (Tony) Zhang", "B. Roe")),
        ("Russell E. Ryan, Jr., Rafael Ortiz III", ("Russell E. Ryan Jr.", "Rafael Ortiz III")),
        ("J. R. Cheshire, IV, B. Roe", ("J. R. Cheshire IV", "B. Roe")),
        ("Jr., B. Roe", ("Jr.", "B. Roe")),
        ('J\\"org Hoffmann, Hendrik Kra{\\ss}', ('J\\"org Hoffmann', "Hendrik Kra{\\ss}")),
        ("Alexandra Anderson, Andy Brand", ("Alexandra Anderson", "Andy Brand")),
        (
            "A. Roe, for the Pierre Auger Collaboration",
            ("A. Roe", "for the Pierre Auger Collaboration"),
        ),
        ("A. Roe and the KAGRA Collaboration", ("A. Roe", "the KAGRA Collaboration")),
        (
            "LIGO Scientific Collaboration and Virgo Collaboration",
            ("LIGO Scientific Collaboration", "Virgo Collaboration"),
        ),
        ("Research and Development Team", ("Research and Development Team",)),
        ("Euclid Collaboration: A. Roe, B. Roe", ("Euclid Collaboration", "A. Roe", "B. Roe")),
        ("李明, 王芳", ("李明", "王芳")),
    ],
)
def test_a_creator_string_is_split_into_whole_names(creator: str, names: tuple[str, ...]) -> None:
    assert split_authors(creator) == names


def test_three_thousand_authors_with_affiliations_are_split_into_three_thousand() -> None:
    creator = ", ".join(f"First{n} Last{n} (Institute {n}, City)" for n in range(3000))
    assert len(split_authors(creator)) == 3000


@given(st.text(alphabet="Ab (),;:and&.J r", max_size=80))
def test_any_string_is_split_and_no_name_is_empty(creator: str) -> None:
    assert all(name.strip() == name != "" for name in split_authors(creator))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Yoshua Bengio", "yoshua bengio"),
        ("  BENGIO,  Yoshua ", "yoshua bengio"),
        ("Jean-Baptiste Alayrac", "jean baptiste alayrac"),
        ("Conor O'Brien", "conor obrien"),
        ("Conor O’Brien", "conor obrien"),
        ("Miko\\l aj Bi\\'{n}kowski", "mikolaj binkowski"),
        ("Søren Ångström", "soren angstrom"),
        ("Hendrik Kraß", "hendrik krass"),
        ("Russell E. Ryan, Jr.", "russell e ryan jr"),
        ("Ryan,", "ryan"),
        ("李明", "李明"),
        ("...", ""),
    ],
)
def test_a_key_ignores_order_accents_and_punctuation(name: str, key: str) -> None:
    assert author_key(name) == key


@pytest.mark.parametrize(
    ("query", "name", "answer"),
    [
        ("Yoshua Bengio", "Yoshua Bengio", "exact"),
        ("bengio, yoshua", "Yoshua Bengio", "exact"),
        ("Jurgen Schmidhuber", 'J\\"urgen Schmidhuber', "exact"),
        ("Y. Bengio", "Yoshua Bengio", "guess"),
        ("Yoshua Bengio", "Y. Bengio", "guess"),
        ("Bengio, Y", "Yoshua Bengio", "guess"),
        ("Geoffrey Hinton", "Geoffrey E. Hinton", "guess"),
        ("Geoffrey Everest Hinton", "G. E. Hinton", "guess"),
        ("J.-B. Alayrac", "Jean-Baptiste Alayrac", "guess"),
        ("Bengio", "Yoshua Bengio", "guess"),
        ("Karr", "Jonathan A. Karr Jr.", "guess"),
        ("Jonathan A. Karr", "Jonathan A. Karr Jr.", "guess"),
        ("van der Maaten", "Laurens van der Maaten", "guess"),
        ("Pierre Auger Collaboration", "for the Pierre Auger Collaboration", "guess"),
        ("ATLAS", "the ATLAS Collaboration", "guess"),
        ("Samy Bengio", "Yoshua Bengio", None),
        ("S. Bengio", "Yoshua Bengio", None),
        ("Yoshua", "Yoshua Bengio", None),
        ("Yoshua Bengio", "Bengio", None),
        ("Geoffrey A. Hinton", "Geoffrey E. Hinton", None),
        ("Geoffrey Hinton", "Geoffrey Everest", None),
        ("CMS", "the ATLAS Collaboration", None),
        ("Jr.", "Jonathan A. Karr Jr.", None),
        ("", "Yoshua Bengio", None),
        ("Yoshua Bengio", "?", None),
    ],
)
def test_a_query_matches_its_author_as_exact_or_guess(
    query: str, name: str, answer: str | None
) -> None:
    assert author_matches(query, name) == answer


@pytest.mark.real
def test_joining_and_splitting_real_authors_changes_only_known_cases(real_data: Path) -> None:
    """Some ten of 11,000 real author lists change, for one of three reasons."""
    unexplained: list[tuple[str, ...]] = []
    total = different = 0
    for authors in every_fourth_author_list(real_data):
        total += 1
        split = split_authors(", ".join(authors))
        if split == tuple(" ".join(author.split()) for author in authors):
            continue
        different += 1
        # A lone ":" is no name, "and " is no part of one, and "Jr." belongs to the name before it.
        tidy = (author.removeprefix("and ").replace(", Jr.", " Jr.") for author in authors)
        if split != tuple(name for name in tidy if name != ":"):
            unexplained.append(split)
    assert total > 10_000
    assert 0 < different < 20
    assert unexplained == []


def every_fourth_author_list(real_data: Path) -> Iterator[list[str]]:
    for name in ("arxiv_cs", "arxiv_astro", "arxiv_hep"):
        with gzip.open(real_data / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            for line in islice(lines, 0, None, 4):
                yield json.loads(line)["authors"] or []


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
def test_a_name_is_found_by_its_other_spellings(query: str, name: str, is_match: bool) -> None:
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
