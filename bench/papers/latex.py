"""Conversion of TeX in abstracts: the real ones of `bulk/dev`, one core, beside pylatexenc.

    .venv/bin/python bench/papers/latex.py [--quick]

The last line on stdout is one JSON object. The peer is pylatexenc's `LatexNodes2Text` on the same
abstracts, which does less (it drops unknown macros).
"""

import argparse
import gzip
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pylatexenc.latex2text import LatexNodes2Text

from service.papers.domain.latex.readable import to_readable

FILES = ("arxiv_cs", "arxiv_astro", "arxiv_hep", "hf_daily")
PEER_ABSTRACTS = 2000


def read_abstracts(folder: Path) -> Iterator[str]:
    for name in FILES:
        with gzip.open(folder / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            yield from (json.loads(line)["abstract"] or "" for line in lines)


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
    abstracts = list(read_abstracts(folder))[:: 10 if quick else 1]
    print(f"{len(abstracts)} abstracts", file=sys.stderr)
    ours = measure(to_readable, abstracts)
    peer = measure(convert_by_peer, abstracts[:PEER_ABSTRACTS])
    print(
        json.dumps(
            {
                "abstracts": len(abstracts),
                "abstracts_per_s": round(ours),
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
