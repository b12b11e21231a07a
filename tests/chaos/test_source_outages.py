"""A day whose source is away: the promise holds beside other faults, and a breach is detected."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from support.chaos.lane import Lane
from support.chaos.plan import make_plan
from support.chaos.promises import check
from support.chaos.world import open_story

BREACHES = {
    "called complete": (
        "UPDATE editions SET coverage = coverage || '{\"is_complete\": true}'"
        " WHERE local_date = '2026-09-17'",
        "of an outage says",
    ),
    "called a holiday": (
        'UPDATE editions SET coverage = coverage || \'{"note": "a holiday"}\''
        " WHERE local_date = '2026-09-17'",
        "of an outage says 'a holiday'",
    ),
    "not marked late": ("UPDATE edition_papers SET is_late = false", "was missed, and is not late"),
}


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["all", "category"])
def test_an_outage_is_named_and_its_papers_come_late_under_any_other_fault(
    lane: Lane, outage: str
) -> None:
    with open_story(lane, replace(make_plan(3), outage=outage, missed_days=0)) as story:
        story.run()
        assert check(story).broken == ()
        for change, problem in BREACHES.values():
            with story.engine.connect() as connection:
                connection.execute(text(change))
                connection.commit()
            assert any(problem in found for found in check(story).broken), problem
