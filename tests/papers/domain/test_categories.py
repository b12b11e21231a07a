"""arXiv's categories: every code is known, twins are found, typos get a suggestion."""

import gzip
import json
import re
from pathlib import Path

import pytest

from service.papers.domain.categories import (
    ALIASES,
    SUBSUMED,
    UnknownCategory,
    archive_of,
    canonical_category,
    category_name,
    expand,
    is_foreign,
    is_known,
    suggested_category,
)
from service.papers.domain.category_names import ARCHIVE_NAMES, CATEGORY_NAMES


def test_the_whole_taxonomy_is_known() -> None:
    assert len(CATEGORY_NAMES) == 155
    assert len(ARCHIVE_NAMES) == 20
    assert {code.split(".")[0] for code in CATEGORY_NAMES} == ARCHIVE_NAMES.keys()
    assert {*ALIASES, *ALIASES.values(), *SUBSUMED.values()} <= CATEGORY_NAMES.keys()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("cs.CL", "Computation and Language"),
        ("CS.cl", "Computation and Language"),
        ("cs.SY", "Systems and Control"),
        ("hep-th", "High Energy Physics - Theory"),
        ("astro-ph", "Astrophysics"),
        ("cmp-lg", "Computation and Language"),
        ("no.such", "no.such"),
    ],
)
def test_a_code_has_the_name_people_use(code: str, name: str) -> None:
    assert category_name(code) == name


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("cs.CL", "cs.CL"),
        (" Cs.cL ", "cs.CL"),
        ("math.MP", "math-ph"),
        ("stat.TH", "math.ST"),
        ("math.IT", "cs.IT"),
        ("q-fin.EC", "econ.GN"),
        ("cs.SY", "eess.SY"),
        ("cs.NA", "math.NA"),
        ("cmp-lg", "cs.CL"),
        ("COND-MAT.STR-EL", "cond-mat.str-el"),
    ],
)
def test_aliases_and_slips_of_case_are_resolved(code: str, canonical: str) -> None:
    assert is_known(code)
    assert canonical_category(code) == canonical


def test_a_category_stands_for_its_twin_from_either_side() -> None:
    for alias, canonical in ALIASES.items():
        assert expand(alias) == expand(canonical) >= {alias, canonical}
    assert expand("cs.CV") == {"cs.CV"}


def test_an_archive_stands_for_all_its_categories_their_twins_and_its_old_names() -> None:
    whole = expand("cs.*")
    assert whole == expand("cs") == expand("CS.*")
    assert {"cs.AI", "cs.NA", "math.NA", "eess.SY", "cs", "cmp-lg"} <= whole
    assert not {"math.AG", "eess.AS", "stat.ML"} & whole
    assert {"astro-ph", "astro-ph.GA"} <= expand("astro-ph.*")
    assert expand("hep-th.*") == expand("hep-th") == {"hep-th"}
    assert "math-ph" in expand("math")


@pytest.mark.parametrize(
    ("code", "suggestion"),
    [("cs.CLL", "cs.CL"), ("astroph.GA", "astro-ph.GA"), ("quantph", "quant-ph")],
)
def test_an_unknown_code_is_refused_with_a_suggestion(code: str, suggestion: str) -> None:
    assert suggested_category(code) == suggestion
    with pytest.raises(UnknownCategory, match=f"did you mean {suggestion}") as caught:
        canonical_category(code)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize("code", ["", "zzzzzzzz", "a b", "x" * 5000, "cs.CL.*", "нет"])
def test_a_code_that_resembles_no_other_gets_no_suggestion(code: str) -> None:
    assert not is_known(code)
    with pytest.raises(UnknownCategory, match="unknown arXiv category") as caught:
        expand(code)
    assert caught.value.suggestion is None


@pytest.mark.real
def test_every_category_real_papers_carry_is_known(real_data: Path) -> None:
    seen: set[str] = set()
    for name in ("arxiv_cs", "arxiv_astro", "arxiv_hep"):
        with gzip.open(real_data / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            for line in lines:
                seen.update(json.loads(line)["categories"] or ())
    codes = {code for code in seen if re.fullmatch(r"[a-z]+(-[a-z]+)?(\.[A-Za-z-]+)?", code)}
    assert len(codes) > 120
    # Authors type ACM and MSC codes into the same field, and one typed that there are none.
    assert sorted(code for code in codes if not is_known(code)) == ["na"]


@pytest.mark.parametrize(
    ("code", "canonical", "name"),
    [
        ("biorxiv.Cell-Biology", "biorxiv.cell-biology", "Cell biology (bioRxiv)"),
        ("medRxiv", "medrxiv", "medRxiv"),
        ("journal.nature", "journal.nature", "Nature (Journals)"),
    ],
)
def test_categories_of_other_sources_are_known_by_their_form(
    code: str, canonical: str, name: str
) -> None:
    assert is_known(code)
    assert is_foreign(code)
    assert canonical_category(code) == canonical
    assert expand(code) == {canonical}
    assert category_name(code) == name
    assert archive_of(canonical) == canonical.split(".", maxsplit=1)[0]


def test_a_whole_server_is_its_name_with_or_without_a_star() -> None:
    assert expand("biorxiv.*") == expand("bioRxiv") == {"biorxiv"}


@pytest.mark.parametrize("code", ["biorxiv.", "biorxiv.a b", "biorxivx", "journal.-", "chemrxiv.x"])
def test_a_code_that_no_source_uses_is_unknown(code: str) -> None:
    assert not is_known(code)
    with pytest.raises(UnknownCategory):
        expand(code)
