"""What a citation says of a paper: names in parts, dates, DOIs, and keys that stay."""

import pytest
from support.cited_papers import make_paper

from service.papers.domain.citations.citation import CitedName, cite, split_name, unique_keys
from service.papers.domain.citations.meta_tags import MOST_AUTHORS, list_meta_tags


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ada Lovelace", ("Lovelace", "Ada", "")),
        ("Laurens van der Maaten", ("van der Maaten", "Laurens", "")),
        ("Luc Van Gool", ("Gool", "Luc Van", "")),
        ("Martin L. King Jr.", ("King", "Martin L.", "Jr.")),
        ("Bengio, Yoshua", ("Bengio", "Yoshua", "")),
        ("John Smith, Jr.", ("Smith", "John", "Jr.")),
        ("Ibn Sina", ("Sina", "Ibn", "")),
        ("al Khwarizmi", ("Khwarizmi", "al", "")),
        ("Plato", ("Plato", "", "")),
        ("王小明", ("王小明", "", "")),
        ("  Grace \n Hopper ", ("Hopper", "Grace", "")),
    ],
)
def test_a_name_has_parts(name: str, parts: tuple[str, str, str]) -> None:
    assert split_name(name) == CitedName(*parts)


def test_a_group_is_one_name() -> None:
    assert split_name("the ATLAS Collaboration") == CitedName(
        "the ATLAS Collaboration", "", "", is_group=True
    )


def test_a_preprint_has_its_own_doi_until_its_article_has_one() -> None:
    assert cite(make_paper()).doi == "10.48550/arXiv.2609.00001"
    published = cite(make_paper(doi="10.1000/cats", journal_ref="Journal of Cats 3"))
    assert (published.doi, published.published_in) == ("10.1000/cats", "Journal of Cats 3")
    assert (published.is_preprint, published.container) == (True, "")
    biology = cite(
        make_paper(key="biorxiv:10.1101/2026.01.01.1", identifier="10.1101/2026.01.01.1")
    )
    assert (biology.doi, biology.publisher) == ("10.1101/2026.01.01.1", "bioRxiv")
    assert (biology.arxiv_id, biology.primary_class) == ("", "")


def test_a_journals_paper_is_an_article() -> None:
    paper = make_paper(key="doi:10.1000/cats", doi="10.1000/cats", journal_ref="Cats Today")
    article = cite(paper)
    assert (article.is_preprint, article.container, article.published_in) == (
        False,
        "Cats Today",
        "",
    )


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("arxiv:2609.00001", "2026-09-18"),
        ("arxiv:2512.00001", "2025-12"),
        ("arxiv:math/0611800", "2006-11"),
        ("arxiv:hep-th/9901001", "1999-01"),
        ("doi:10.1000/x", "2026-09-18"),
    ],
)
def test_the_date_is_that_of_the_paper_and_not_of_its_arrival(key: str, written: str) -> None:
    assert cite(make_paper(key=key)).write_date("-") == written


@pytest.mark.parametrize(
    ("authors", "title", "key"),
    [
        (("Ashish Vaswani",), "Attention Is All You Need", "vaswani2026attention"),
        (("Søren Müller",), "On the Über-Attention", "muller2026uber"),
        (("Laurens van der Maaten",), "A t-SNE", "vandermaaten2026sne"),
        ((), "3D Cats", "paper20263d"),
        (("王小明",), "猫", "paper2026"),
        (("the ATLAS Collaboration",), "Of the", "theatlascollaboration2026"),
    ],
)
def test_a_key_is_name_year_and_word(authors: tuple[str, ...], title: str, key: str) -> None:
    made = cite(make_paper(authors=authors, title=title)).key
    assert made.replace("soren", "") == key


def test_equal_keys_get_their_identifier_and_the_first_one_stays() -> None:
    papers = [make_paper(key=f"arxiv:2609.0000{n}") for n in (1, 2, 3)]
    keys = unique_keys(map(cite, papers))
    assert keys == [
        "lovelace2026attention",
        "lovelace2026attention-arxiv-2609-00002",
        "lovelace2026attention-arxiv-2609-00003",
    ]
    assert unique_keys(map(cite, papers[:2])) == keys[:2]


def test_meta_tags_are_those_that_reference_managers_read() -> None:
    paper = make_paper(authors=("Laurens van der Maaten", "the ATLAS Collaboration"))
    tags = list_meta_tags(
        cite(paper), "https://papers.example/x", "https://arxiv.org/pdf/2609.00001"
    )
    assert tags == [
        ("citation_title", "On the Attention of Cats"),
        ("citation_author", "van der Maaten, Laurens"),
        ("citation_author", "the ATLAS Collaboration"),
        ("citation_publication_date", "2026/09/18"),
        ("citation_publisher", "arXiv"),
        ("citation_doi", "10.48550/arXiv.2609.00001"),
        ("citation_arxiv_id", "2609.00001"),
        ("citation_pdf_url", "https://arxiv.org/pdf/2609.00001"),
        ("citation_abstract_html_url", "https://papers.example/x"),
        ("citation_abstract", "We study cats. They sleep."),
    ]


def test_a_large_collaboration_does_not_fill_the_page_with_tags() -> None:
    many = cite(make_paper(authors=tuple(f"Ada Nr{n}" for n in range(3_000))))
    names = [name for name, _ in list_meta_tags(many, "", "")]
    assert names.count("citation_author") == MOST_AUTHORS
