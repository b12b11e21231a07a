"""Clauses joined by OR and parentheses, as far as a topic has them: taken apart once, asked often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from service.topics.domain.matching.bitsets import Bits


@dataclass(frozen=True, slots=True)
class Group:
    """Parts of a canonical topic under one AND or OR; a part is a clause or a group."""

    is_or: bool
    parts: tuple[str | Group, ...]


def read_group(parts: Iterator[str]) -> Group:
    """The parts up to the closing parenthesis or the end. OR binds least, so it cuts first."""
    branches: list[list[str | Group]] = [[]]
    for part in parts:
        if part == ")":
            break
        if part == "OR":
            branches.append([])
        else:
            branches[-1].append(read_group(parts) if part == "(" else part)
    if len(branches) == 1:
        return Group(False, tuple(branches[0]))
    return Group(True, tuple(Group(False, tuple(branch)) for branch in branches))


def find_group(group: Group, everything: Bits, look_up: Callable[[str], Bits]) -> Bits:
    """The papers that a group wants; `look_up` tells those that a clause wants."""
    papers: Bits = 0 if group.is_or else everything
    for part in group.parts:
        found = find_group(part, everything, look_up) if isinstance(part, Group) else look_up(part)
        papers = papers | found if group.is_or else papers & found
    return papers
