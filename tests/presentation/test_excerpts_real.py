"""Excerpts of real abstracts say what was done or found, by labels that no weight was fitted to."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "papers" / "excerpts.py"
LEAST_SHARE = 90
LIMIT = 350


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("excerpts_bench", BENCH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
def test_most_excerpts_say_what_was_done_or_found(bench: ModuleType, real_data: Path) -> None:
    papers = bench.read_labelled(real_data, "judge")
    assert len(papers) == 100
    figures = bench.measure(papers, LIMIT)
    assert figures["says_now"] >= LEAST_SHARE
    assert figures["characters_now"] <= figures["characters_before"]
