"""Documents name files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
_FILE = re.compile(
    r"`((?:service|workers|tests|bench|migrations|email_templates|docs)/[\w./-]+\.\w+)`"
)
_LINK = re.compile(r"\]\(([^)#:]+?)(?:#[^)]*)?\)")


def named_files(text: str) -> set[str]:
    """Return the files of the project that a document names in backticks."""
    return set(_FILE.findall(text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [name for name in sorted(named_files(text)) if not (ROOT / name).is_file()] == []
    links = {(document.parent / link) for link in _LINK.findall(text)}
    assert [str(link) for link in sorted(links) if not link.exists()] == []


def test_the_guide_has_five_steps_for_each_of_five_things() -> None:
    guide = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", guide, flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections] == [
        "A source", "A mail", "A topic operator", "A page", "An operation of the API",
    ]  # fmt: skip
    for section in sections:
        assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == ["1", "2", "3", "4", "5"]
        assert len(named_files(section)) >= 5


def test_a_name_in_backticks_is_found() -> None:
    assert named_files("see `service/nowhere.py` and `make test`") == {"service/nowhere.py"}


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("0*.md")}
    titles = {name: text.partition("\n")[0][len("# 0000: ") :] for name, text in pages.items()}
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [f"| [{n[:4]}]({n}) | {t} |" in index for n, t in titles.items()] == [True] * len(pages)
    assert pages


def test_every_test_that_the_security_page_names_is_there() -> None:
    named = set(
        re.findall(r"`(test_\w+)`", (ROOT / "docs/security.md").read_text(encoding="utf-8"))
    )
    files = (ROOT / "tests").rglob("test_*.py")
    written = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named - written == set()
