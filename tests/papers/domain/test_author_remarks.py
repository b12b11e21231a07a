"""What authors say of a paper: where it was accepted, their code and their pages."""

import pytest
from support.cited_papers import make_paper

from service.papers.domain.author_remarks import MOST_LINKS, find_acceptance, find_author_links


@pytest.mark.parametrize(
    ("comment", "accepted"),
    [
        ("Accepted at CVPR 2025", "Accepted at CVPR 2025"),
        ("12 pages, 3 figures; accepted for publication in A&A", "Accepted for publication in A&A"),
        ("To appear in Phys. Rev. D. 9 pages", "To appear in Phys. Rev. D"),
        ("Published as a conference paper at ICLR 2025, 18 pages", "Published as a conference paper at ICLR 2025"),
        ("Accepted to KDD 2025 (oral). Code: https://x.example", "Accepted to KDD 2025 (oral)"),
        ("7 pages (Accepted to IEEE BHI 2025)", "Accepted to IEEE BHI 2025"),
        ("Accepted by ACM\n  MM 2025, project page: https://x.example", "Accepted by ACM MM 2025"),
        ("10 pages, ICCV 2025", "ICCV 2025"),
        ("ICCV 2025, 19 pages, 18 figures", "ICCV 2025"),
        ("EMNLP 2025 (main)", "EMNLP 2025 (main)"),
        ("accepted by ACL-2025", "Accepted by ACL-2025"),
    ],
)  # fmt: skip
def test_an_acceptance_is_in_the_authors_words(comment: str, accepted: str) -> None:
    assert find_acceptance(comment) == accepted


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "12 pages, 3 figures",
        "Submitted to NeurIPS 2025",
        "Under review at ICML 2025",
        "Not accepted at CVPR 2025",
        "Submitted to ApJ. Catalog available upon acceptance",
        "Extended version of our CVPR 2024 paper",
        "Conditionally accepted at CHI 2026",
        "A preliminary version was published in ICML 2024",
        "Accepted for publication. Code is public",
        "accepted by everybody",
        "((((" * 500,
    ],
)
def test_what_is_no_acceptance_is_none(comment: str) -> None:
    assert find_acceptance(comment) == ""


def test_a_long_claim_is_cut_at_a_word() -> None:
    claim = find_acceptance("Accepted at the Conference " + "of Cats " * 60)
    assert len(claim) <= 162
    assert claim.endswith(" …")


def test_links_of_authors_are_named_by_what_they_are() -> None:
    paper = make_paper(
        comment="Project page: https://cats.example.org/x. Video (https://youtu.be/a-b).",
        abstract="Code is at https://github.com/cats/purr, data at https://huggingface.co/datasets/cats, "
        r"see also \footnote{https://gitlab.com/other/one} and https://doi.org/10.1/x.",
    )
    assert [tuple(link) for link in find_author_links(paper)] == [
        ("Project page", "https://cats.example.org/x"),
        ("Video", "https://youtu.be/a-b"),
        ("Code", "https://github.com/cats/purr"),
        ("Hugging Face", "https://huggingface.co/datasets/cats"),
    ]


def test_code_that_the_source_names_comes_first() -> None:
    paper = make_paper(
        github_url="https://github.com/cats/first",
        abstract="See https://github.com/cats/second and https://cats.github.io.",
    )
    assert [tuple(link) for link in find_author_links(paper)] == [
        ("Code", "https://github.com/cats/first"),
        ("Project page", "https://cats.github.io"),
    ]


def test_hostile_addresses_are_no_links() -> None:
    paper = make_paper(
        comment="code: http://[::1 http://github.com@evil.example/ javascript:alert(1)"
    )
    assert find_author_links(paper) == []
    every = "https://github.com/a https://a.github.io https://youtu.be/a https://zenodo.org/a https://osf.io/a https://hf.co/a"
    assert len(find_author_links(make_paper(comment=every))) == MOST_LINKS
