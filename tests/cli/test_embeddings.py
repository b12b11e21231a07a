"""`paperboy meanings`: stored papers are embedded, and a missing model is one line."""

import sys
from datetime import date

import pytest
from support.newsletter.commands import NOW, Paperboy


def test_ingest_embeds_its_papers_and_meanings_finds_none_left(
    paperboy: Paperboy, sample_day: date
) -> None:
    assert paperboy(*NOW, "ingest").code == 0
    again = paperboy(*NOW, "meanings", "--json")
    assert (again.code, again.value) == (0, {"papers": 0, "is_counted": False, "probes": 0})


def test_meanings_embeds_all_papers_again_for_another_model(
    paperboy: Paperboy, sample_day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paperboy(*NOW, "ingest").code == 0
    monkeypatch.setenv("PAPERBOY_EMBEDDER", "none")
    result = paperboy(*NOW, "meanings")
    assert result.code == 0
    learned, note = result.out.splitlines()
    assert int(learned.split()[0]) > 10
    assert learned.endswith("papers learned.")
    assert "No language model" in note


def test_a_missing_extra_is_one_line_and_wrong_use(
    paperboy: Paperboy, sample_day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    assert paperboy(*NOW, "ingest").code == 0
    result = paperboy(*NOW, "meanings")
    assert (result.code, result.out) == (2, "")
    assert result.complaint == (
        "texts cannot be compared here: the extra is not installed."
        " Run: pip install 'paperboy-digest[similarity]'"
    )


def test_an_unknown_model_is_refused_with_a_list_of_known_ones(
    paperboy: Paperboy, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_EMBEDDER", "bert")
    result = paperboy("meanings")
    assert result.code == 2
    assert "'wordllama' or 'none'" in result.complaint
