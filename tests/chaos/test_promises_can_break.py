"""Tests of the promises: a sender that breaks one is detected by that promise."""

import re
from dataclasses import replace

import pytest
from support.chaos import spoiling
from support.chaos.lane import Lane
from support.chaos.plan import Deed, Event, Phase, Plan, Point, ProcessFault, WireFault
from support.chaos.promises import check
from support.chaos.world import Story, open_story

from service.sending.steps import Steps

PLAN = Plan(
    seed=0,
    kind="spoiled",
    subscribers=30,
    window=6,
    connections=2,
    workers=1,
    chunk=1000,
    pipelining=True,
    is_late_to_refuse=False,
    timeout_seconds=60.0,
    skews=(0.0,),
    answer="carry",
)
ASLEEP = replace(PLAN, workers=2, faults=(ProcessFault(Point.CLAIMED, 1, is_fatal=False),))
LEAVING = replace(
    PLAN,
    # Slow, so that some time passes between the claim and the flight.
    wire=(WireFault(Phase.DOT, 1, times=1000, seconds=0.1),),
    connections=1,
    events=tuple(Event(after, Deed.LEAVE, after) for after in range(2, 24)),
)


def cut_at(phase: Phase) -> Plan:
    return replace(PLAN, wire=(WireFault(phase, 5, times=2),))


def refuse(reply: str) -> Plan:
    return replace(PLAN, wire=(WireFault(Phase.DOT, 5, times=2, reply=reply),))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "plan", "problem"),
    [
        (spoiling.REPEAT_WHAT_IS_IN_DOUBT, cut_at(Phase.DOT), "times on the wire"),
        # It sends a second copy of another sender's row, or a row that was just requeued.
        (
            spoiling.SEND_WHAT_OTHERS_HOLD,
            ASLEEP,
            "times on the wire|a row went from queued to in_flight",
        ),
        (
            spoiling.FORGET_WHO_LEFT_AFTER_THE_CLAIM,
            LEAVING,
            "went into flight after the unsubscribe was answered",
        ),
        (
            spoiling.FORGET_WHAT_A_REFUSAL_WAS,
            refuse("550 5.7.1 no"),
            "is called sent, and the relay took none",
        ),
        (spoiling.LOSE_ROWS_THAT_CANNOT_WAIT, refuse("451 4.3.0 later"), "without a reason"),
    ],
    ids=["repeat", "hold", "leave", "praise", "lose"],
)
def test_a_sender_that_breaks_a_promise_is_detected(
    lane: Lane, steps: Steps, plan: Plan, problem: str
) -> None:
    kind = type("SpoiledStory", (Story,), {"steps": steps})
    with open_story(lane, plan, kind) as story:
        story.run()
        broken = check(story).broken
    assert any(re.search(problem, found) for found in broken), broken


@pytest.mark.slow
@pytest.mark.parametrize("plan", [cut_at(Phase.DOT), ASLEEP, LEAVING], ids=["cut", "sleep", "left"])
def test_the_real_sender_keeps_the_promises_under_the_same_faults(lane: Lane, plan: Plan) -> None:
    with open_story(lane, plan) as story:
        story.run()
        assert check(story).broken == ()
