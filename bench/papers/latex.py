"""Conversion of TeX in titles and abstracts: the real ones of `bulk/dev`, one core.

    .venv/bin/python bench/papers/latex.py [--quick]

Measured are speed, the share of texts that keep raw TeX, and texts that lost a letter or digit, by
`tests/support/tex_checks.py`, which knows nothing of the converter. "Physics" is astro-ph and the
high-energy archives. The last line on stdout is one JSON object. The peer is pylatexenc's `LatexNodes2Text` on the same
abstracts, which does less (it drops unknown macros).
"""

import argparse
import gzip
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from pylatexenc.latex2text import LatexNodes2Text

HERE = Path(__file__).resolve().parents[1]
# What is raw and what is lost is found as the tests find it.
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

from support.tex_checks import lost_text, raw_pieces  # noqa: E402  # the path must come first

from service.papers.domain.latex.math_mode import plain_math  # noqa: E402
from service.papers.domain.latex.readable import to_readable, to_readable_line  # noqa: E402

PHYSICS, OTHERS = ("arxiv_astro", "arxiv_hep"), ("arxiv_cs", "hf_daily")
PEER_ABSTRACTS = 2000
Texts: TypeAlias = list[tuple[str, str]]
"""Titles with their abstracts."""


def read_texts(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        with gzip.open(folder / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            papers = map(json.loads, lines)
            yield from ((paper["title"], paper["abstract"] or "") for paper in papers)


def judge(texts: Texts) -> dict[str, float]:
    """Return the shares of titles and abstracts with raw TeX, and how many lost something."""
    titles = [(title, to_readable_line(title)) for title, _ in texts]
    abstracts = [(abstract, to_readable(abstract)) for _, abstract in texts]
    return {
        "raw_titles": _share_raw(titles),
        "raw_abstracts": _share_raw(abstracts),
        "lost": sum(bool(lost_text(*pair)) for pair in (*titles, *abstracts)),
    }


def _share_raw(pairs: Texts) -> float:
    return round(sum(bool(raw_pieces(plain)) for _, plain in pairs) / len(pairs), 4)


def measure(convert: Callable[[str], str], abstracts: list[str]) -> float:
    """Return abstracts per second of processor time."""
    began = time.process_time()
    for abstract in abstracts:
        convert(abstract)
    return len(abstracts) / (time.process_time() - began)


def convert_by_peer(text: str) -> str:
    try:
        return str(_PEER.latex_to_text(text))
    except Exception:  # noqa: BLE001  # the peer raises what it likes on broken TeX; it is only timed
        return text


_PEER = LatexNodes2Text()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the abstracts")
    quick = parser.parse_args().quick
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(
            f"bench/papers/latex.py: no real data at {folder}; set PAPERBOY_REAL_DATA",
            file=sys.stderr,
        )
        return 2
    step = 10 if quick else 1
    physics, others = (list(read_texts(folder, names))[::step] for names in (PHYSICS, OTHERS))
    abstracts = [abstract for _, abstract in (*others, *physics)]
    print(f"{len(abstracts)} abstracts", file=sys.stderr)
    ours = measure(to_readable, abstracts)
    plain_math.cache_clear()
    of_physics = measure(to_readable, [abstract for _, abstract in physics])
    peer = measure(convert_by_peer, abstracts[:PEER_ABSTRACTS])
    found = {f"physics_{name}": figure for name, figure in judge(physics).items()}
    print(
        json.dumps(
            {
                "abstracts": len(abstracts),
                "abstracts_per_s": round(ours),
                "physics_abstracts": len(physics),
                "physics_abstracts_per_s": round(of_physics),
                **found,
                **judge(others),
                "peer_abstracts_per_s": round(peer),
                "ratio_pylatexenc": round(ours / peer, 1),
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "cpu": platform.processor() or platform.machine(),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
