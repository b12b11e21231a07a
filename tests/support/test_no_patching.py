"""No test patches our own code: it passes other behaviour as an argument.

A patch depends on a name. When the name moves, the patch has no effect any more, or breaks a test
without a fault in the code; an argument is type-checked.
"""

import ast
from collections.abc import Iterator

import pytest

from support.rules import ROOT

OURS = ("service", "workers")
# Methods of `monkeypatch` and the function, all with what they change as their first argument.
PATCHING = {"setattr", "delattr", "setitem", "delitem"}
# "path:text of the line" -> the reason why it must be. Empty, and meant to stay so.
ALLOWED: dict[str, str] = {}


def is_ours(name: str | None) -> bool:
    return (name or "").partition(".")[0] in OURS


def imported_names(tree: ast.Module) -> set[str]:
    """Return the names in a file that refer to our modules, or to their contents."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_ours(node.module):
            names |= {one.asname or one.name for one in node.names}
        elif isinstance(node, ast.Import):
            ours = [one for one in node.names if is_ours(one.name)]
            names |= {one.asname or one.name.partition(".")[0] for one in ours}
        elif isinstance(node, ast.Assign | ast.AnnAssign) and root_of(node.value) in names:
            # Another name for the same thing.
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for one in targets if isinstance(one, ast.Name)}
    return names


def root_of(node: ast.AST | None) -> str:
    """Return the name at the start of `name.more.of[it]`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def find_patches(source: str) -> Iterator[int]:
    """Return the lines that change one of our modules, or its contents."""
    tree = ast.parse(source)
    names = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else root_of(node.func)
            first = node.args[0] if node.args else None
            text = first.value if isinstance(first, ast.Constant) else None
            is_named = isinstance(text, str) and is_ours(text)
            if called in PATCHING and (is_named or root_of(first) in names):
                yield node.lineno
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            changed = (
                [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else node.targets
            )
            if any(not isinstance(one, ast.Name) and root_of(one) in names for one in changed):
                yield node.lineno


def test_nothing_of_ours_is_replaced() -> None:
    found = []
    for path in sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py")]):
        source, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        lines = source.splitlines()
        found += [f"{name}:{lines[number - 1].strip()}" for number in find_patches(source)]
    assert [one for one in found if one not in ALLOWED] == []
    assert [one for one in ALLOWED if one not in found] == [], "no longer needed"


@pytest.mark.parametrize(
    "source",
    [
        "from service.editions import publish\nmonkeypatch.setattr(publish, 'CHUNK_SIZE', 2)",
        "monkeypatch.setattr('service.editions.publish.CHUNK_SIZE', 2)",
        "def f():\n    from workers import tasks as t\n    t.LEARNED_AT_ONCE = 1",
        "import service.platform.clock\nservice.platform.clock.system_clock = None",
        "from service.cli.processes import COMMANDS\nmonkeypatch.setitem(COMMANDS, 'web', [])",
        "from service.cli.processes import COMMANDS\nCOMMANDS['web'] = []",
        "from service.sending import deliver\nspoiled: Any = deliver\nspoiled.hold = None",
        "import service.sending.smtp.limits as limits\nsetattr(limits, name, 1.0)",
    ],
)
def test_each_way_to_replace_something_is_found(source: str) -> None:
    assert len([*find_patches(source)]) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import ssl\nmonkeypatch.setattr(ssl, 'create_default_context', None)",
        "import sys\nmonkeypatch.setitem(sys.modules, 'wordllama', None)",
        "from service.web.app import create_app\napp = create_app()\napp.state.site = 1",
        "from service.settings import Settings\nsettings: Settings = Settings()\nsettings.x = 1",
    ],
)
def test_what_belongs_to_others_or_to_the_test_may_be_changed(source: str) -> None:
    assert [*find_patches(source)] == []
