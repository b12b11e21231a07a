"""How much TeX stays raw in real physics, and that nothing is lost, found by independent checks."""

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from support.tex_checks import lost_text, raw_pieces

from service.papers.domain.latex.readable import to_readable, to_readable_line


def sample(real_data: Path, name: str, step: int) -> Iterator[tuple[str, str]]:
    """Yield source and plain form of every `step`-th paper's title and abstract, in turn."""
    with gzip.open(real_data / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
        for paper in map(json.loads, islice(lines, 0, None, step)):
            abstract = paper["abstract"] or ""
            yield paper["title"], to_readable_line(paper["title"])
            yield abstract, to_readable(abstract)


@pytest.mark.real
def test_physics_keeps_few_raw_formulas_and_loses_nothing(real_data: Path) -> None:
    pairs = [pair for name in ("arxiv_astro", "arxiv_hep") for pair in sample(real_data, name, 2)]
    titles, abstracts = pairs[::2], pairs[1::2]
    assert len(titles) == 4_069
    assert sum(bool(raw_pieces(plain)) for _, plain in titles) <= 0.003 * len(titles)
    assert sum(bool(raw_pieces(plain)) for _, plain in abstracts) <= 0.03 * len(abstracts)
    assert [lost for pair in pairs if (lost := lost_text(*pair))] == []


@pytest.mark.real
def test_computer_science_loses_nothing(real_data: Path) -> None:
    pairs = [pair for name in ("arxiv_cs", "hf_daily") for pair in sample(real_data, name, 15)]
    assert len(pairs) == 5_588
    assert [lost for pair in pairs if (lost := lost_text(*pair))] == []


@pytest.mark.parametrize(
    ("source", "plain", "lost"),
    [
        (r"$N_{\rm eff}$ of L\'evy", "N_eff of Lévy", ""),
        (r"$N_{\rm eff}$ of 8", "N of 8", "effof8"),
        ("10^{16}", "10¹", "6"),
        ("ab", "ba", "b"),
        (r"\href{http://x.example/a}{here} it", "here (http://x.example/a) it", ""),
        (r"\href{http://x.example/a}{here}", "here", "http://x.example/a"),
    ],
)
def test_the_check_finds_what_is_lost(source: str, plain: str, lost: str) -> None:
    assert lost_text(source, plain) == lost


def test_the_check_finds_what_is_raw() -> None:
    assert raw_pieces(r"$x$ and \foo a_{b} $y") == ["$x$", r"\foo", "_{", "$"]
    assert raw_pieces("N_eff of 10^6.5 for $5 and x^(a b)") == []
