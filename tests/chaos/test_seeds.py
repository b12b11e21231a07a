"""Fault-injection seeds: the first 20 in every run of the suite, five hundred by `make chaos`."""

import json
import os
import subprocess
import sys

import pytest
from support.chaos.lane import Lane
from support.chaos.plan import KINDS, Deed, Phase, Point, make_plan
from support.chaos.promises import check
from support.chaos.world import play
from support.rules import ROOT

SEEDS = range(20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_promises_hold_under_any_fault(lane: Lane, seed: int) -> None:
    plan = make_plan(seed)
    with play(lane, plan) as story:
        broken = check(story).broken
        output = (
            f"make chaos ARGS='--seed {seed}'\n{json.dumps(plan.as_json())}\n{story.log()[-4000:]}"
        )
    assert not broken, "\n".join([*broken, output])


def test_a_plan_is_a_function_of_its_seed_alone() -> None:
    assert [make_plan(seed) for seed in range(50)] == [make_plan(seed) for seed in range(50)]
    assert len({str(make_plan(seed).as_json()) for seed in range(500)}) == 500


def test_the_seeds_of_every_run_have_every_kind_of_fault() -> None:
    plans = [make_plan(seed) for seed in SEEDS]
    assert {plan.kind for plan in plans} == set(KINDS)


def test_five_hundred_seeds_have_every_deed_point_and_phase() -> None:
    plans = [make_plan(seed) for seed in range(500)]
    assert {event.deed for plan in plans for event in plan.events} == set(Deed)
    assert {fault.point for plan in plans for fault in plan.faults} == set(Point)
    assert {fault.phase for plan in plans for fault in plan.wire} == set(Phase)
    assert {plan.answer for plan in plans} == {"carry", "resend", "sent"}
    assert {plan.workers for plan in plans} == {1, 2}
    assert {plan.relays for plan in plans} == {1, 2}
    assert {plan.missed_days for plan in plans} == {0, 3, 4}
    assert {plan.outage for plan in plans} == {"", "all", "category"}
    assert {plan.pipelining for plan in plans} == {False, True}


def test_importing_the_story_starts_no_servers() -> None:
    """Importing the Celery application connects to its servers, and starts them if none are set."""
    program = (
        "import sys, support.chaos.world, support.chaos.promises; print('workers' in sys.modules)"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    output = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert output.stdout.strip() == "False"
