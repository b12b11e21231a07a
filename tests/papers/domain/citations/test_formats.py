"""BibTeX, RIS and CSL-JSON, read back by the libraries that others use, whatever the texts are."""

import unicodedata

import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from bibtexparser.library import Library
from bibtexparser.middlewares import LatexDecodingMiddleware, SeparateCoAuthors, SplitNameParts
from hypothesis import given, settings
from hypothesis import strategies as st
from pylatexenc.latex2text import LatexNodes2Text
from support.cited_papers import make_paper

from service.papers.domain.citations.bibtex import write_bibtex
from service.papers.domain.citations.citation import cite, unique_keys
from service.papers.domain.citations.csl_json import to_csl
from service.papers.domain.citations.ris import write_ris
from service.papers.domain.citations.tex_escape import escape_tex, verbatim

HARD = "Müller & Söhne: 50% of $5_000 #1 {curly} \\input{x} ~α≤β² <b> “quoted” — Čech’s žluťoučký €"


def read_bibtex(text: str) -> Library:
    library = parse_string(text, append_middleware=[LatexDecodingMiddleware(keep_math_mode=False)])
    assert library.failed_blocks == []
    return library


def read_authors(text: str) -> list[str]:
    """Return the names as von, last, junior and first, decoded last: TeX's braces hold names together."""
    library = parse_string(text, append_middleware=[SeparateCoAuthors(), SplitNameParts()])
    decode = LatexNodes2Text().latex_to_text
    return [
        "|".join(decode(" ".join(part)) for part in (each.von, each.last, each.jr, each.first))
        for each in library.entries[0]["author"]
    ]


def test_a_preprint_in_bibtex_has_the_fields_of_arxivs_own_export() -> None:
    assert write_bibtex(cite(make_paper(title="GPT-4 on Cats")), has_abstract=False) == (
        "@misc{lovelace2026gpt,\n"
        "  title = {{GPT-4} on Cats},\n"
        "  author = {Lovelace, Ada and Hopper, Grace},\n"
        "  year = {2026},\n"
        "  month = sep,\n"
        "  eprint = {2609.00001},\n"
        "  archivePrefix = {arXiv},\n"
        "  primaryClass = {cs.CL},\n"
        "  doi = {10.48550/arXiv.2609.00001},\n"
        "  url = {https://arxiv.org/abs/2609.00001}\n"
        "}\n"
    )


def test_bibtex_is_read_back_with_every_accent_and_mark() -> None:
    names = (
        "Laurens van der Maaten",
        "Jürgen Schmidhuber",
        "Łukasz Kaiser",
        "Martin King Jr.",
        "Sands and Co. Team",
    )
    paper = make_paper(title=HARD, abstract=f"{HARD}\n\n{HARD}", authors=names)
    text = write_bibtex(cite(paper), "mine", tags=("to read", "a_b"), note="Line 1\nline 2 @x{")
    assert text.isascii()
    (entry,) = read_bibtex(text).entries
    assert (entry.entry_type, entry.key) == ("misc", "mine")
    fields = {field.key: field.value for field in entry.fields}
    assert plain(fields["title"]) == plain(HARD)
    assert plain(fields["abstract"]) == plain(f"{HARD} {HARD}")
    assert fields["keywords"] == "to read, a_b"
    assert fields["annote"] == "Line 1 line 2 @x{"
    assert read_authors(text) == [
        "van der|Maaten||Laurens",
        "|Schmidhuber||Jürgen",
        "|Kaiser||Łukasz",
        "|King|Jr.|Martin",
        "|Sands and Co. Team||",
    ]


def plain(text: str) -> str:
    """Return a text with the spellings that TeX does not tell apart made one."""
    for one, other in (
        ("``", "“"),
        ("''", "”"),
        ("'", "’"),
        ("---", "—"),
        ("--", "–"),
        ("^2", "²"),
        (" ", ""),
    ):
        text = text.replace(one, other)
    return text


# Also characters that mean something to BibTeX, more often than chance gives them.
TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('{}\\"@,=%#$&_^~\n')),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_breaks_out_of_its_field(title: str, name: str, note: str) -> None:
    citation = cite(
        make_paper(
            title=title,
            abstract=note,
            authors=(name, "Grace Hopper"),
            url=f"https://x.example/{title}",
        )
    )
    text = write_bibtex(citation, "one", note=note) + write_bibtex(cite(make_paper()), "two")
    library = parse_string(text)
    assert library.failed_blocks == []
    assert [entry.key for entry in library.entries] == ["one", "two"]
    records = rispy.loads(
        write_ris(citation, "one", note=note) + write_ris(cite(make_paper()), "two")
    )
    assert [record["id"] for record in records] == ["one", "two"]


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_escaped_text_is_balanced_and_prints_its_letters(text: str) -> None:
    written = escape_tex(text)
    depth = 0
    for character in written:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert "{" not in verbatim(text)
    assert "}" not in verbatim(text)


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("é", r"{\'{e}}"),
        ("ï", r"{\"{\i}}"),
        ("ç", r"{\c{c}}"),
        ("ø ß Ł", r"{\o} {\ss} {\L}"),
        ("ệ", r"{\^{\d{e}}}"),
        ("α", r"\ensuremath{\alpha}"),
        ("x²⁻¹", r"x\ensuremath{^{2-1}}"),
        ("H₂O", r"H\ensuremath{_{2}}O"),
        ("50 % & more", r"50 \% \& more"),
        ("{a}", r"\ensuremath{\lbrace}a\ensuremath{\rbrace}"),
        ("猫", "猫"),
        ("a\n\nb", "a b"),
    ],
)
def test_a_character_in_tex(text: str, tex: str) -> None:
    assert escape_tex(text) == tex


def test_latex_prints_what_was_escaped() -> None:
    """The characters of Latin alphabets, as an independent reader of LaTeX prints them."""
    letters = "".join(map(chr, range(0xC0, 0x180)))
    printed = LatexNodes2Text().latex_to_text(escape_tex(letters))
    assert unicodedata.normalize("NFC", printed).replace(" ", "") == letters


def test_ris_is_read_back() -> None:
    names = ("Laurens van der Maaten", "Martin King Jr.", "Sands and Co. Team")
    paper = make_paper(title="Cats\r\nER  - \r\nTY  - BOOK", authors=names, journal_ref="J. Cats 3")
    (record,) = rispy.loads(write_ris(cite(paper), tags=("to read", "cats"), note="One\nTwo"))
    assert record["type_of_reference"] == "UNPB"
    assert record["id"] == "vandermaaten2026cats"
    assert record["title"] == "Cats ER - TY - BOOK"
    assert record["authors"] == [
        "van der Maaten, Laurens",
        "King, Martin, Jr.",
        "Sands and Co. Team",
    ]
    assert (record["year"], record["date"]) == ("2026", "2026/09/18/")
    assert record["keywords"] == ["to read", "cats"]
    assert record["notes"] == ["One Two", "Published in J. Cats 3"]
    assert record["doi"] == "10.48550/arXiv.2609.00001"
    assert record["accession_number"] == "arXiv:2609.00001"
    assert record["publisher"] == "arXiv"
    assert record["urls"] == ["https://arxiv.org/abs/2609.00001"]


def test_an_article_in_each_format() -> None:
    citation = cite(
        make_paper(key="doi:10.1000/c_{1}", doi="10.1000/c_{1}", journal_ref="Cats & Dogs")
    )
    (entry,) = read_bibtex(write_bibtex(citation)).entries
    assert entry.entry_type == "article"
    assert entry["journal"] == "Cats & Dogs"
    assert "doi = {10.1000/c_%7B1%7D}" in write_bibtex(citation)
    (record,) = rispy.loads(write_ris(citation))
    assert (record["type_of_reference"], record["secondary_title"]) == ("JOUR", "Cats & Dogs")
    item = to_csl(citation)
    assert (item["type"], item["container-title"]) == ("article-journal", "Cats & Dogs")


def test_a_preprint_in_csl_json() -> None:
    paper = make_paper(authors=("Laurens van der Maaten", "the ATLAS Collaboration"))
    assert to_csl(cite(paper), "mine", tags=("a", "b"), note="One\nTwo") == {
        "id": "mine",
        "type": "article",
        "genre": "preprint",
        "title": "On the Attention of Cats",
        "author": [
            {"family": "van der Maaten", "given": "Laurens"},
            {"literal": "the ATLAS Collaboration"},
        ],
        "issued": {"date-parts": [[2026, 9, 18]]},
        "publisher": "arXiv",
        "number": "arXiv:2609.00001",
        "DOI": "10.48550/arXiv.2609.00001",
        "URL": "https://arxiv.org/abs/2609.00001",
        "abstract": "We study cats. They sleep.",
        "keyword": "a, b",
        "annote": "One\nTwo",
    }


def test_a_long_list_of_authors_may_end_with_others() -> None:
    citation = cite(make_paper(authors=("A. One", "B. Two", "C. Three")))
    assert "author = {One, A. and Two, B. and others}" in write_bibtex(citation, most_authors=2)
    assert "Three, C." in write_bibtex(citation, most_authors=3)


def test_keys_of_a_file_are_unique_for_bibtex_which_ignores_case() -> None:
    keys = unique_keys(cite(make_paper(key=f"arxiv:2609.0000{n}")) for n in range(1, 4))
    assert len({key.lower() for key in keys}) == 3
