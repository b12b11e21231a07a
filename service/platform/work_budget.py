"""What one request may cost: steps of computation and database statements.

Steps are counted where work grows with what a stranger wrote; a step is some ten microseconds of
processor time. A count refuses the same request on every machine and under every load, which a
clock would not. Outside of a request (tasks, commands) nothing is counted.
"""

from contextvars import ContextVar
from dataclasses import dataclass

# About two seconds of processor time; a preview of sixty words takes a fiftieth of it.
MOST_STEPS = 200_000
MOST_STATEMENTS = 200


class BudgetSpent(Exception):
    """The request asks for more work than one request may cause."""


@dataclass(slots=True)
class WorkBudget:
    """What is left of one request's work."""

    steps: int = MOST_STEPS
    statements: int = MOST_STATEMENTS


_budget: ContextVar[WorkBudget | None] = ContextVar("work_budget", default=None)


def set_budget(budget: WorkBudget | None) -> None:
    """Set the budget of this context, which the threads of a request share; None for no limit."""
    _budget.set(budget)


def spend(steps: int = 1) -> None:
    """Count steps. Raises `BudgetSpent` past the budget."""
    budget = _budget.get()
    if budget is not None:
        budget.steps -= steps
        if budget.steps < 0:
            raise BudgetSpent


def spend_statement(*_: object) -> None:
    """Count one database statement; a listener of SQLAlchemy's. Raises `BudgetSpent` past the budget."""
    budget = _budget.get()
    if budget is not None:
        budget.statements -= 1
        if budget.statements < 0:
            raise BudgetSpent
