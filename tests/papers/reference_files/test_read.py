"""Files of references: every entry is read or named as unreadable, quickly, whatever is in it."""

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.papers.domain.references import MOST_BYTES, MOST_ENTRIES, ReferenceFileError
from service.papers.reference_files.read import read_references

# Invented papers.
BIBTEX = r"""
@string{corr = "CoRR"}
@article{a,
  title = {{CATS}: Sleep of {\"U}ber {$\alpha$}}, author = {M{\"u}ller, J{\"o}rg and Ada Lovelace and others},
  journal = {arXiv preprint arXiv:2609.00001}, primaryClass = {cs.CL}, keywords = {cats; sleep},
}
@comment{jabref-meta: x}
@article(b, title = "Dogs " # {Bark}, doi = "https://doi.org/10.1000/DOGS", title = {twice})
@article{broken, title = {no end
@inproceedings{c, author = {X and Y}, journal = corr, volume = {abs/2609.00003}}
@misc{empty, year = 2026}
"""
RIS = """TY  - JOUR
TI  - Cats Sleep
AU  - Lovelace, Ada
AB  - Over two
  lines.
DO  - 10.1000/cats
KW  - cats
ER  -

TY - RPRT
T1 - Dogs Bark
UR - https://arxiv.org/abs/2609.00002v2
TY  - JOUR
PY  - 2026
ER  -
stray
"""


def test_bibtex_has_strings_tex_identifiers_and_broken_entries() -> None:
    file = read_references(BIBTEX.encode())
    cats, dogs, third = file.references
    assert (file.form, file.entry_count) == ("BibTeX", 5)
    assert cats.title == "CATS: Sleep of Über α"
    assert cats.authors == ("Jörg Müller", "Ada Lovelace")
    assert (cats.names, cats.categories) == (("arxiv:2609.00001",), ("cs.CL",))
    assert cats.keywords == ("cats", "sleep")
    assert (dogs.title, dogs.names) == ("Dogs Bark", ("doi:10.1000/dogs",))
    assert (third.label, third.names) == ("arxiv:2609.00003", ("arxiv:2609.00003",))
    broken, empty = map(str, file.unreadable)
    assert broken.startswith("Entry 3, line 9: its braces or commas are broken")
    assert empty.startswith("Entry 5, line 11: it has no title")


def test_ris_of_different_exporters() -> None:
    file = read_references(RIS.replace("\n", "\r\n").encode("utf-8-sig"))
    cats, dogs = file.references
    assert (cats.title, cats.abstract) == ("Cats Sleep", "Over two lines.")
    assert (cats.authors, cats.names) == (("Ada Lovelace",), ("doi:10.1000/cats",))
    assert (dogs.title, dogs.names) == ("Dogs Bark", ("arxiv:2609.00002",))
    assert [(each.place, each.line) for each in file.unreadable] == [(3, 13), (4, 16)]


def test_csl_json_and_lists() -> None:
    item = {"title": "Cats", "author": [{"family": "Lovelace", "given": "Ada"}], "DOI": "10.1/x"}
    file = read_references(json.dumps([item, 7, {"title": ["no text"]}]).encode())
    assert (file.form, file.references[0].authors) == ("CSL-JSON", ("Ada Lovelace",))
    assert [each.place for each in file.unreadable] == [2, 3]
    lines = b"2609.00001, 2609.00002v3\nhttps://doi.org/10.1000/A\n\nhttps://example.org/x\nAll Cats Sleep Long\nfoo"
    file = read_references(lines)
    assert [each.label for each in file.references] == [
        "arxiv:2609.00001",
        "arxiv:2609.00002",
        "doi:10.1000/a",
        "https://example.org/x",
        "All Cats Sleep Long",
    ]
    assert [(each.place, each.line) for each in file.unreadable] == [(6, 6)]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "nothing in it"),
        (b" \r\n\t", "nothing in it"),
        (b"%PDF-1.7 x", "not a text file"),
        (bytes(range(256)) * 50, "not a text file"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"[" * 500_000, "not CSL-JSON"),
        (b'{"items": 3}', "no list of references"),
        (b"x" * (MOST_BYTES + 1), "larger than 2 MB"),
        (b"@misc{a, title={b c}}\n" * (MOST_ENTRIES + 1), "2,001 entries"),
        (b"2609.00001 " * 3_000, "3,000 entries"),
    ],
)
def test_a_file_of_no_use_is_refused_in_one_line(payload: bytes, why: str) -> None:
    with pytest.raises(ReferenceFileError, match=why) as refused:
        read_references(payload)
    assert "\n" not in str(refused.value)


def test_other_encodings_are_read_and_said() -> None:
    entry = "@misc{a, title = {Über Katzen}}"
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        file = read_references(entry.encode(encoding))
        assert file.references[0].title == "Über Katzen"
        assert bool(file.note) is (encoding == "cp1252")


PIECES = (
    "{",
    "}",
    "{}",
    '"',
    ",",
    "=",
    "@",
    "@a{",
    "@a(",
    "a = b, ",
    "x # ",
    "\\frac{",
    "\n",
    "a ",
)
OPENINGS = ("@misc{a, title = {", "@misc(a, title = ", "TY  - JOUR\nTI  - x\n", "[", "")


def test_hostile_files_take_little_time() -> None:
    bomb = "".join(f"@string{{s{n} = {' # '.join([f's{n - 1}'] * 10)}}}\n" for n in range(1, 200))
    texts = [bomb + "@misc{a, title = s199}"]
    for opening in OPENINGS:
        for piece in PIECES:
            body = (piece * 2_000_000)[:190_000]
            texts.append(f"{opening}{body}\n" * (8 if opening[:1] == "@" else 1))
    slowest = 0.0
    for text in texts:
        began = time.process_time()
        with suppress(ReferenceFileError):
            read_references(text.encode())
        slowest = max(slowest, time.process_time() - began)
    # One second is promised on an idle machine; processor time on a busy one counts more.
    assert slowest < 3


titles = st.text('abc xyzé{}\\"$#%@,=\n', min_size=0, max_size=30)
entries = st.tuples(st.sampled_from(["article", "misc"]), titles)


@given(st.lists(entries, min_size=1, max_size=6), st.text('ab{}\n,="', max_size=20))
def test_no_entry_is_lost(written: list[tuple[str, str]], tail: str) -> None:
    """Every `@type{` that begins a line is one entry: read, or unreadable."""
    chunks = [
        f"@{kind}{{k{n}, title = {{{title.replace(chr(10) + '@', ' ')}}}}}\n"
        for n, (kind, title) in enumerate(written)
    ]
    file = read_references("".join(chunks).encode() + tail.encode())
    assert file.entry_count >= len(written)
    read, unread = file.references, file.unreadable
    places = sorted([*(each.place for each in read), *(each.place for each in unread)])
    assert places == list(range(1, len(places) + 1))


@settings(max_examples=50)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    )
)
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    with suppress(ReferenceFileError):
        file = read_references(payload)
        assert all(each.label for each in file.references)
        assert file.entry_count > 0
