"""One word, one meaning: the rules of docs/glossary.md that a machine can check."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for top in ("service", "workers") for path in (ROOT / top).rglob("*.py"))

# Words of the column "never called" that can mean nothing else. The others (*list*, *log*, *form*,
# *day*, *mark*, *run* …) have ordinary meanings, too, and need a person to judge.
NEVER = frozenset(
    {
        "activation", "aim", "article", "blocklist", "campaign", "gauge", "happening", "judgement",
        "lane", "opinion", "pace", "popularity", "reader", "shelf", "told", "said", "asked",
    }
)  # fmt: skip
# Columns keep their names, so tables are not read.
TABLES = "models.py"


def _defined_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id


def _words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {word for part in parts for word in (part.lower(), part.lower().removesuffix("s"))}


def refused_names(source: str) -> list[tuple[int, str]]:
    """Return the names defined in a module that contain a refused word, with their lines."""
    found = _defined_names(ast.parse(source))
    return [(line, name) for line, name in found if _words(name) & NEVER]


def test_no_two_public_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in SOURCES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 300


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name != TABLES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_identifier_is_a_word_that_the_glossary_refuses(path: Path) -> None:
    assert refused_names(path.read_text(encoding="utf-8")) == []


def test_a_refused_word_is_found_in_any_spelling() -> None:
    source = "class ReaderView: ...\ndef find_readers(opinion): lane_at = 1\ndef spread(): ..."
    assert [name for _, name in refused_names(source)] == [
        "ReaderView",
        "find_readers",
        "opinion",
        "lane_at",
    ]
