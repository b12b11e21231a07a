"""Names of a module replaced from outside, in a process of its own."""

from __future__ import annotations

from types import ModuleType


def replace_names(module: ModuleType, **pieces: object) -> None:
    """Put `pieces` in place of what the module holds by these names; a name it lacks is an error.

    Otherwise a piece that has moved to another module would be replaced nowhere, without a word.
    """
    for name, piece in pieces.items():
        assert hasattr(module, name), f"{module.__name__} has no {name}"
        setattr(module, name, piece)
