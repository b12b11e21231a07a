"""`/admin/subscribers/{number}/edit`: what the operator sets for a reader, as the reader would."""

import httpx2
import pytest
from support.newsletter.press import Press
from support.web.operator import PASSWORD, token_in

from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics

pytestmark = pytest.mark.settings(admin_password=PASSWORD)


def test_the_operator_sets_the_timing_and_a_form_without_it_keeps_it(
    operator: httpx2.Client, anne: int
) -> None:
    path = f"/admin/subscribers/{anne}/edit"
    form = {"token": token_in(operator.get(path)), "cadence": "daily", "hour": "7"}
    form |= {"timezone": "Asia/Tokyo", "topic": "graph tree"}
    done = operator.post(path, data={**form, "timing": "when_complete"})
    assert "timing at_hour → when_complete" in done.text
    assert "Every day as soon as a day’s papers are complete, Asia/Tokyo" in done.text
    assert '<option value="when_complete" selected>' in operator.get(path).text
    kept = operator.post(path, data={**form, "hour": "8"})
    assert "edited (hour 7 → 8) by the operator ada on /admin" in kept.text
    listed = operator.get("/admin/subscribers").text
    assert "daily, as soon as a day’s papers are complete, Asia/Tokyo" in listed


def test_the_operator_edits_names_and_measures_of_topics_as_their_reader_does(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    path = f"/admin/subscribers/{anne}/edit"
    page = operator.get(path)
    assert '<select name="comes" aria-label="When papers of topic 1 come">' in page.text
    form = {
        "token": token_in(page),
        "topic": ["graph tree", "robots", ""],
        "name": ["", "Machines", ""],
        "comes": ["weekly", "at least 3", "at once"],
        "max_papers": ["usual", "12"],
        "weekly_topics_on": "thursday",
    }
    done = operator.post(path, data=form).text
    assert "edited (papers in a mail usual → 12, weekly topics monday → thursday, topics)" in done
    assert "<code>graph tree</code> (weekly); Machines <code>robots</code> (at least 3)" in done
    assert "Weekly topics come on Thursdays. At most 12 papers in a mail" in done
    again = operator.get(path).text
    assert '<option value="weekly" selected>once a week</option>' in again
    assert 'value="Machines"' in again
    assert '<option value="thursday" selected>' in again
    renamed = form | {"name": ["", "Robots of all kinds", ""]}
    assert "edited (names of topics) by" in operator.post(path, data=renamed).text
    timed = renamed | {"comes": ["at once"] * 2}
    assert "edited (when topics come) by" in operator.post(path, data=timed).text
    wrong = operator.post(path, data=form | {"comes": ["never", "weekly"], "max_papers": "0"})
    assert wrong.status_code == 422
    assert 'id="measure-fault-0"' in wrong.text
    assert "Papers in a mail: a whole number from 1 to 100." in wrong.text
    with press.sessions() as session:
        assert [one.measure for one in get_named_topics(session, [anne])[anne]] == [(False, 1)] * 2


def test_an_edit_shows_all_faults_and_is_in_the_history(
    operator: httpx2.Client, anne: int, press: Press
) -> None:
    path = f"/admin/subscribers/{anne}/edit"
    page = operator.get(path)
    assert 'value="graph tree"' in page.text
    form = {"token": token_in(page), "topic": ["graph", "cat:cs.CL"], "cadence": "weekdays"}
    form |= {"hour": "9", "timezone": "UTC", "empty_digests": "no"}
    wrong = operator.post(
        path, data={**form, "hour": "30", "topic": ["(", "x"], "timezone": "Mars", "timing": "soon"}
    )
    assert wrong.status_code == 422
    fields = ("topic", "hour", "timezone", "timing")
    assert all(f'id="{name}-fault' in wrong.text for name in fields)
    with press.sessions.begin() as session:
        session.get_one(Subscriber, anne).has_ai_summaries = False
    done = operator.post(path, data=form)
    with press.sessions() as session:
        assert not session.get_one(Subscriber, anne).has_ai_summaries
    assert "Saved. The next digest uses these settings." in done.text
    assert (
        "edited (cadence daily → weekdays, hour 7 → 9, topics) by the operator ada on /admin"
        in done.text
    )
    assert "Nothing was changed." in operator.post(path, data=form).text
