"""One paper has one identifier and one key in every spelling."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.identifiers import (
    IdentifierError,
    arxiv_order,
    arxiv_url,
    canonical_arxiv_id,
    is_arxiv_id,
    normalized_doi,
    paper_key,
    split_version,
)


@pytest.mark.parametrize(
    ("spelling", "identifier", "version"),
    [
        ("2604.14630", "2604.14630", None),
        ("  2604.14630v2\n", "2604.14630", 2),
        ("0704.0001", "0704.0001", None),
        ("1412.9999v12", "1412.9999", 12),
        ("arXiv:2604.14630v1 [cs.CL]", "2604.14630", 1),
        ("ARXIV: 2604.14630", "2604.14630", None),
        ("oai:arXiv.org:2604.14630v3", "2604.14630", 3),
        ("oai:arXiv.org:hep-th/9901001", "hep-th/9901001", None),
        ("https://arxiv.org/abs/2604.14630v2", "2604.14630", 2),
        ("http://export.arxiv.org/abs/hep-th/9901001v1", "hep-th/9901001", 1),
        ("arxiv.org/pdf/2604.14630v2.pdf", "2604.14630", 2),
        ("https://arxiv.org/pdf/2604.14630?download=1#page=2", "2604.14630", None),
        ("https://www.arxiv.org/html/2604.14630/", "2604.14630", None),
        ("https://huggingface.co/papers/2604.14630", "2604.14630", None),
        ("https://doi.org/10.48550/arXiv.2604.14630", "2604.14630", None),
        ("doi:10.48550/arxiv.2604.14630", "2604.14630", None),
        ("math.CA/0611800v2", "math/0611800", 2),
        ("math/0611800", "math/0611800", None),
        ("MATH.CA/0611800", "math/0611800", None),
        ("cond-mat.mtrl-sci/9912001", "cond-mat/9912001", None),
        ("cs.LG/0703999", "cs/0703999", None),
        ("cmp-lg/9107001", "cmp-lg/9107001", None),
    ],
)
def test_every_spelling_of_an_identifier_gives_one_form(
    spelling: str, identifier: str, version: int | None
) -> None:
    assert split_version(spelling) == (identifier, version)
    assert canonical_arxiv_id(spelling) == identifier
    assert is_arxiv_id(spelling)
    assert paper_key("arxiv", spelling) == f"arxiv:{identifier}"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "abc",
        "2604",
        "2613.14630",  # no thirteenth month
        "2600.14630",
        "2604.1463",  # four digits ended with 2014
        "1412.99999",  # five digits began with 2015
        "2604.00000",
        "0703.0001",  # the scheme began in April 2007
        "9107.0001",
        "2604.14630v0",
        "2604.14630v",
        "2604.146301",
        "٢٦٠٤.14630",
        "hep-th/0704001",  # the old scheme had ended
        "hep-th/9913001",
        "hep-th/9901000",
        "hep-th/99010001",
        "nosuch/9901001",
        "https://example.org/abs/2604.14630",
        "2604.14630; drop table papers",
        "x" * 10_000,
    ],
)
def test_nonsense_is_refused_with_a_short_reason(nonsense: str) -> None:
    assert not is_arxiv_id(nonsense)
    with pytest.raises(IdentifierError, match="not an arXiv identifier") as caught:
        canonical_arxiv_id(nonsense)
    assert len(str(caught.value)) < 100


@given(st.text(max_size=60))
def test_any_text_is_an_identifier_or_refused(text: str) -> None:
    try:
        identifier = canonical_arxiv_id(text)
    except IdentifierError:
        return
    assert canonical_arxiv_id(identifier) == identifier


def test_identifiers_are_ordered_as_they_were_assigned() -> None:
    given_out = ["hep-th/9901001", "hep-th/0703001", "0704.0001", "1412.9999", "1501.00001"]
    given_out += ["2512.99999", "2601.00001", "2601.00002v3"]
    orders = [arxiv_order(identifier) for identifier in given_out]
    assert all(earlier < later for earlier, later in pairwise(orders))


def test_hugging_face_papers_share_arxivs_keys_and_preprints_are_known_by_doi() -> None:
    assert paper_key("huggingface", "2604.14630") == "arxiv:2604.14630"
    assert paper_key("biorxiv", "10.1101/2024.01.01.573812") == "biorxiv:10.1101/2024.01.01.573812"
    with pytest.raises(IdentifierError, match="unknown source"):
        paper_key("nowhere", "2604.14630")


@pytest.mark.parametrize(
    "spelling",
    [
        "10.1103/PhysRevD.105.106028",
        "https://doi.org/10.1103/physrevd.105.106028",
        "http://dx.doi.org/10.1103/PhysRevD.105.106028 ",
        "doi: 10.1103/PHYSREVD.105.106028",
    ],
)
def test_every_spelling_of_a_doi_gives_one_form(spelling: str) -> None:
    assert normalized_doi(spelling) == "10.1103/physrevd.105.106028"


@pytest.mark.parametrize("nonsense", ["", "10.1/x", "11.1103/x", "10.1103/", "10.1103/a b"])
def test_a_text_that_is_no_doi_is_refused(nonsense: str) -> None:
    with pytest.raises(IdentifierError, match="not a DOI"):
        normalized_doi(nonsense)


def test_the_url_is_that_of_the_abstract_page() -> None:
    assert arxiv_url("math/0611800") == "https://arxiv.org/abs/math/0611800"


@pytest.mark.real
def test_every_identifier_of_the_archives_is_canonical_already(real_data: Path) -> None:
    identifiers: list[str] = []
    for name in ("arxiv_cs", "arxiv_astro", "arxiv_hep"):
        with gzip.open(real_data / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            identifiers += [json.loads(line)["id"] for line in lines]
    assert len(identifiers) > 40_000
    # The harvest lost the archive of one old paper, and it cannot be guessed.
    odd = [i for i in identifiers if not is_arxiv_id(i) or canonical_arxiv_id(i) != i]
    assert odd == ["0310123"]
