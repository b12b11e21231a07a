"""What one request may cost: steps of computation, database statements and processor time.

Steps are counted where work grows with what a stranger wrote; a step is some ten microseconds of
processor time. A count refuses the same request on every machine and under every load, which a
clock would not. The clock of the request's thread ends what costs far more than its steps say.
Outside of a request (tasks, commands) nothing is counted.
"""

import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass

# About two seconds of processor time; a preview of sixty words takes a fiftieth of it.
MOST_STEPS = 200_000
MOST_STATEMENTS = 200
# Some ten times what the largest query takes here; slower machines need more.
MOST_SECONDS = 10.0


class BudgetSpent(Exception):
    """The request asks for more work than one request may cause."""


@dataclass(slots=True)
class WorkBudget:
    """What is left of one request's work."""

    steps: int = MOST_STEPS
    statements: int = MOST_STATEMENTS
    seconds: float = MOST_SECONDS


class _Here(threading.local):
    """The budget that this thread last counted for, and its processor time then."""

    budget: WorkBudget | None = None
    seconds: float = 0.0


_here = _Here()
_budget: ContextVar[WorkBudget | None] = ContextVar("work_budget", default=None)


def set_budget(budget: WorkBudget | None) -> None:
    """Set the budget of this context, which the threads of a request share; None for no limit."""
    _budget.set(budget)


def spend(steps: int = 1) -> None:
    """Count steps. Raises `BudgetSpent` past the budget."""
    budget = _take_time()
    if budget is not None:
        budget.steps -= steps
        if budget.steps < 0:
            raise BudgetSpent


def spend_statement(*_: object) -> None:
    """Count one database statement; a listener of SQLAlchemy's. Raises `BudgetSpent` past the budget."""
    budget = _take_time()
    if budget is not None:
        budget.statements -= 1
        if budget.statements < 0:
            raise BudgetSpent


def _take_time() -> WorkBudget | None:
    """Return the budget, less the processor time of this thread since it last counted for it.

    A thread of a pool serves other requests in between, whose time is not this one's.
    """
    budget = _budget.get()
    if budget is None:
        _here.budget = None
        return None
    now = time.thread_time()
    if _here.budget is budget:
        budget.seconds -= now - _here.seconds
        if budget.seconds < 0:
            raise BudgetSpent
    _here.budget, _here.seconds = budget, now
    return budget
