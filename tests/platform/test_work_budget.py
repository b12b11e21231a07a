"""A request's budget ends work whose steps were miscounted, by the clock of its thread."""

import time
from collections.abc import Iterator

import pytest

from service.platform.work_budget import BudgetSpent, WorkBudget, set_budget, spend


@pytest.fixture
def budget() -> Iterator[WorkBudget]:
    budget = WorkBudget(seconds=0.2)
    set_budget(budget)
    yield budget
    set_budget(None)


def work(seconds: float) -> None:
    """Burn processor time of this thread in steps that are counted as nothing."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        spend(0)


def test_work_without_steps_ends_after_its_processor_time(budget: WorkBudget) -> None:
    work(0.1)
    with pytest.raises(BudgetSpent):
        work(30)
    assert budget.steps > 0


def test_the_time_of_another_request_in_the_same_thread_is_not_counted(budget: WorkBudget) -> None:
    """A thread of the pool looks at a request's form, serves others, then goes on with it."""
    work(0.05)
    for other in (WorkBudget(), None):
        set_budget(other)
        work(0.3)
        set_budget(budget)
        work(0.02)
