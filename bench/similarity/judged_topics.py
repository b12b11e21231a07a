"""Topics with judged papers: the query a reader would write for each, and its relevant papers.

The queries were written from the names of the topics, before any result was seen. They use
only words where the judgement is a category, because `cat:` would be the judgement itself.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BULK = ("arxiv_cs", "arxiv_astro", "arxiv_hep", "hf_daily")

LISTS = {
    "3dgs": (
        "3D Gaussian splatting",
        '"gaussian splatting" OR "gaussian splats" OR 3DGS OR splatting',
    ),
    "efficient reasoning": (
        "Efficient reasoning in large language models: shorter chains of thought, overthinking"
        " mitigation, early exit, adaptive thinking",
        '"efficient reasoning" OR overthinking OR "adaptive thinking" OR "concise reasoning"'
        ' OR "reasoning length" OR ("chain of thought" (compression OR shorter OR "early exit"'
        ' OR "token budget"))',
    ),
    "lm analysis": (
        "Language model analysis: what transformers learn, mechanistic interpretability,"
        " in-context learning, scaling laws, training dynamics, hallucination",
        '("mechanistic interpretability" OR "in-context learning" OR "scaling law" OR grokking'
        ' OR "training dynamics" OR "sparse autoencoder") ("language model" OR transformer)',
    ),
}
CATEGORIES = {
    "astro-ph.CO": 'cosmology OR cosmological OR "dark energy" OR "microwave background"'
    ' OR "large-scale structure"',
    "astro-ph.GA": 'galaxy OR "milky way" OR "interstellar medium" OR "star formation"',
    "astro-ph.IM": "telescope OR instrument OR observatory OR detector OR calibration",
    "cs.AI": 'agent OR planning OR reasoning OR "artificial intelligence" OR knowledge',
    "cs.CL": '"language model" OR "natural language" OR translation OR linguistic OR text',
    "cs.CV": "image OR video OR visual OR segmentation OR 3D",
    "cs.DB": 'database OR SQL OR "query optimization" OR "data management"',
    "cs.ET": 'neuromorphic OR memristor OR "quantum computing" OR photonic OR "in-memory computing"',
    "cs.GT": '"game theory" OR "nash equilibrium" OR auction OR "mechanism design" OR incentive',
    "cs.IR": 'retrieval OR recommendation OR "search engine" OR ranking',
    "cs.LG": "learning OR training OR generalization OR optimization OR classification",
    "cs.MA": '"multi-agent" OR "multiple agents" OR swarm OR coordination',
    "cs.RO": "robot OR manipulation OR navigation OR locomotion",
    "cs.SE": '"software engineering" OR "code generation" OR bug OR "software development"',
    "eess.IV": 'MRI OR CT OR "medical image" OR "image reconstruction" OR compression',
    "eess.SY": '"control system" OR controller OR "power grid" OR stability',
    "hep-ex": "LHC OR collider OR ATLAS OR CMS OR neutrino",
    "hep-th": '"string theory" OR holography OR "quantum gravity" OR "conformal field" OR supersymmetry',
    "math.OC": 'convex OR "optimal control" OR convergence OR "gradient descent"',
    "quant-ph": "quantum OR qubit OR entanglement",
}
SILVER = (
    '"primordial black hole" OR reheating OR "heavy neutral lepton" OR axion OR JUNO'
    ' OR "gravitational wave background" OR "solar neutrino" OR "multi-loop" OR "Feynman integral"'
    ' OR "electroweak correction" OR "top quark decay" OR nucleosynthesis'
)


@dataclass(frozen=True, slots=True)
class JudgedPaper:
    """A paper of the corpus. `origin` is its file."""

    identifier: str
    title: str
    abstract: str
    categories: tuple[str, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class JudgedTopic:
    """A topic with the identifiers of relevant papers (`positives`) among the `judged` ones."""

    group: str
    name: str
    description: str
    written: str
    positives: frozenset[str]
    judged: frozenset[str]


def read_papers(folder: Path) -> dict[str, JudgedPaper]:
    """Return every paper of the bulk files, and those that are only in the judged lists."""
    papers: dict[str, JudgedPaper] = {}
    for name in BULK:
        for row in _read_lines(folder / "bulk" / "dev" / f"{name}.jsonl.gz"):
            _add(papers, row, name)
    for row in _read_lines(_relevance(folder) / "list_3dgs_with_abstracts.jsonl"):
        _add(papers, row, "list")
    for row in _read_lines(_relevance(folder) / "silver_llm_relevance.jsonl.gz"):
        _add(papers, row, "silver")
    return papers


def read_topics(folder: Path, papers: dict[str, JudgedPaper]) -> list[JudgedTopic]:
    """Return the curated lists, the categories, and the profile judged by a language model (silver)."""
    return [*_lists(folder, papers), *_categories(folder, papers), _silver(folder, papers)]


def _lists(folder: Path, papers: dict[str, JudgedPaper]) -> Iterator[JudgedTopic]:
    files = ("3dgs_with_abstracts", "efficient_reasoning", "lm_analysis")
    for (name, (description, written)), file in zip(LISTS.items(), files, strict=True):
        rows = _read_lines(_relevance(folder) / f"list_{file}.jsonl")
        listed = {row["id"] for row in rows} & papers.keys()
        judged = _where(papers, lambda paper: paper.origin in BULK) | listed
        yield JudgedTopic("lists", name, description, written, frozenset(listed), judged)


def _categories(folder: Path, papers: dict[str, JudgedPaper]) -> Iterator[JudgedTopic]:
    judged = _where(papers, lambda paper: paper.origin in BULK and bool(paper.categories))
    for row in _read_lines(_relevance(folder) / "category_topics.jsonl"):
        code = row["topic"]
        members = frozenset(i for i in judged if code in papers[i].categories)
        yield JudgedTopic("categories", code, row["query"], CATEGORIES[code], members, judged)


def _silver(folder: Path, papers: dict[str, JudgedPaper]) -> JudgedTopic:
    profile = (_relevance(folder) / "silver_llm_profile.md").read_text()
    interests = profile.partition("## Core Research Interests")[2].partition("## Topics")[0]
    rows = _read_lines(_relevance(folder) / "silver_llm_relevance.jsonl.gz")
    liked = frozenset(row["id"] for row in rows)
    physics = _where(papers, lambda paper: paper.origin in {"arxiv_astro", "arxiv_hep"})
    words = re.sub(r"[*$\\_{}]", "", interests)
    return JudgedTopic("silver", "profile", words, SILVER, liked, physics | liked)


def _relevance(folder: Path) -> Path:
    return folder / "relevance" / "dev"


def _where(papers: dict[str, JudgedPaper], is_in: Callable[[JudgedPaper], bool]) -> frozenset[str]:
    return frozenset(i for i, paper in papers.items() if is_in(paper))


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    yield from map(json.loads, text.splitlines())


def _add(papers: dict[str, JudgedPaper], row: dict[str, Any], origin: str) -> None:
    if row["id"] and row["abstract"]:
        paper = JudgedPaper(
            row["id"], row["title"], row["abstract"], tuple(row.get("categories") or ()), origin
        )
        papers.setdefault(paper.identifier, paper)
