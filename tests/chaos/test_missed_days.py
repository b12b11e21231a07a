"""The service is down over days with announcements: one mail has all of them, and a test that fails."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from support.chaos.lane import Lane
from support.chaos.missed_days import TUESDAY
from support.chaos.plan import make_plan
from support.chaos.promises import check
from support.chaos.world import play


@pytest.mark.slow
def test_the_first_mail_after_missed_days_has_their_papers_once(lane: Lane) -> None:
    plan = replace(make_plan(1), missed_days=4)
    with play(lane, plan) as story:
        assert story.back_on == TUESDAY
        assert check(story).broken == ()
        # No worker here reads sources, so the task that reads the missed days is still in the queue.
        queued = story.queue.lrange("paperboy.ingest", 0, -1)
        assert sum(b"paperboy.heal" in message for message in queued) == 1
        with story.sessions.begin() as session:
            session.execute(
                text(
                    "UPDATE deliveries SET paper_ids = paper_ids[2:] WHERE state = 'sent'"
                    " AND edition_id IN (SELECT id FROM editions WHERE local_date = :on)"
                ),
                {"on": TUESDAY},
            )
        assert any("of the missed days" in problem for problem in check(story).broken)
