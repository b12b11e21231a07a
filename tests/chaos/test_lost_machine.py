"""The machine is lost in the middle of a day with other faults, and comes back from a dump."""

import json
from datetime import datetime

import pytest
from support.chaos.lane import Lane
from support.chaos.lost_machine import PROMISES, LostMachine, plan_loss
from support.chaos.promises import check
from support.chaos.world import open_story

from service.sending.restore_guard import accept_newest

SEEDS = range(8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_sent_before_the_operator_answers_and_nothing_twice_or_lost(
    lane: Lane, seed: int
) -> None:
    plan = plan_loss(seed)
    with open_story(lane, plan, LostMachine) as story:
        story.run()
        broken = check(story, PROMISES).broken
        output = f"{story.marks}\n{json.dumps(plan.as_json())}\n{story.log()[-4000:]}"
    assert not broken, "\n".join([*broken, output])


class WronglyAnswered(LostMachine):
    """The operator says that nothing was lost, although it was."""

    def answer(self, lost_at: datetime) -> None:
        assert lost_at < self.clock()
        assert accept_newest(self.sessions, self.settings, self.clock())


@pytest.mark.slow
def test_a_wrong_answer_sends_second_copies_and_is_detected(lane: Lane) -> None:
    seed = 32  # no mark is left, and most of the day's mails were sent after the dump
    with open_story(lane, plan_loss(seed), WronglyAnswered) as story:
        story.run()
        broken = check(story, PROMISES).broken
    assert any("mails of a day" in found or "times on the wire" in found for found in broken), (
        broken
    )
