"""docs/scale.md says what `bench/scale.py` computes out of the measured costs."""

import sys

import pytest
from support.rules import ROOT

sys.path.append(str(ROOT / "bench"))

import scale  # the path must come first
from scales import model

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables_of_the_model() -> None:
    assert scale.fill_page(PAGE) == PAGE, "type `.venv/bin/python bench/scale.py --write`"
    assert all(
        f"<!-- {name}: by" in PAGE for name in ("costs", "bytes", "loads", "limits", "check")
    )


def test_another_cost_makes_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.limits()["two cores with everything on them"]
    monkeypatch.setattr(model, "SENDER_CPU_US", 2 * model.SENDER_CPU_US)
    assert scale.fill_page(PAGE) != PAGE
    assert model.limits()["two cores with everything on them"] < before


def test_the_run_that_checks_the_model_is_as_fast_as_the_model_says() -> None:
    ratios = scale.check_ratios()
    assert ratios.keys() == {"compose_ratio", "send_ratio"}
    assert all(abs(ratio - 1) <= scale.MOST_OFF for ratio in ratios.values()), ratios
