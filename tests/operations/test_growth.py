"""Growth and mails per day: counted from what happened, back from the subscribers of now."""

from datetime import date, timedelta

from support.newsletter.press import ACCEPTED, NOBODY, SILENCE, PlannedTransport, Press
from support.web.papers import FRIDAY

from service.deliveries.domain.recipients import Cadence
from service.operations.growth import GrowthDay, load_growth, load_mail_days
from service.platform.database.engine import transaction
from service.sending.deliver import deliver
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.lifecycle import erase, suppress_address, undo_unsubscribe, unsubscribe
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.subscribers import find_by_email, get_subscriber
from service.web.operator.charts import draw_growth, draw_mails, draw_subscribed

MONDAY = FRIDAY + timedelta(days=3)


def growth(press: Press, days: int = 4) -> list[GrowthDay]:
    with transaction(press.sessions) as session:
        return list(load_growth(session, press.clock(), days))


def test_who_joined_left_and_was_subscribed_on_each_day(press: Press) -> None:
    keys = press.settings.secret_key
    anne, _, _, dora = press.add_subscribers(
        *(f"{name}@example.org" for name in ("anne", "bert", "cleo", "dora"))
    )
    press.clock.forward(days=1)
    with transaction(press.sessions) as session:
        assert unsubscribe(session, anne, "/unsubscribe", press.clock())
        assert suppress_address(session, "bert@example.org", keys, "asked", press.clock())
        # Suppressing again, and a request that nobody confirmed, change nothing.
        suppress_address(session, "bert@example.org", keys, "asked", press.clock())
        form = ValidSignUp(
            "emil@example.org", "emil@example.org", Preferences(Cadence.DAILY, 7, "UTC")
        )
        request_subscription(session, form, keys, press.clock())
        emil = find_by_email(session, "emil@example.org")
        assert emil is not None
        assert unsubscribe(session, emil.id, "/unsubscribe", press.clock())
    press.clock.forward(days=2)
    with transaction(press.sessions) as session:
        assert undo_unsubscribe(session, anne, press.clock())
        gone = get_subscriber(session, dora, lock=True)
        assert gone is not None
        erase(session, gone, keys, press.clock())
    days = growth(press)
    # Dora was erased, and counts on no day.
    assert days == [
        GrowthDay(FRIDAY, 3, 0, 3),
        GrowthDay(FRIDAY + timedelta(days=1), 0, 2, 1),
        GrowthDay(FRIDAY + timedelta(days=2), 0, 0, 1),
        GrowthDay(MONDAY, 1, 0, 2),
    ]
    text = "4 joined, 2 left from Fri 18 Sep to Mon 21 Sep."
    assert draw_growth(days).text == text
    assert draw_subscribed(days).text == "3 on Fri 18 Sep, 2 now."
    assert draw_subscribed(days).pieces[0].label == "Fri 18 Sep: 3 readers"


def test_a_refused_address_has_left(press: Press) -> None:
    press.add_subscribers("anne@example.org", "bert@example.org")
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport(lambda e: NOBODY if "anne" in e.recipient else ACCEPTED)))
    assert growth(press, days=1) == [GrowthDay(FRIDAY, 2, 1, 1)]


def test_mails_are_counted_on_the_day_of_their_edition(press: Press) -> None:
    names = {"anne": ACCEPTED, "bert": ACCEPTED, "cleo": NOBODY, "dora": SILENCE}
    press.add_subscribers(*(f"{name}@example.org" for name in names))
    thursday = FRIDAY - timedelta(days=1)
    press.add_papers(1, on=thursday)
    press.publish(thursday)
    transport = PlannedTransport(lambda envelope: names[envelope.recipient.partition("@")[0]])
    deliver(press.sender(transport))
    with transaction(press.sessions) as session:
        before, edition, today = load_mail_days(session, press.clock(), 3)
    assert edition.counts == {"sent": 2, "failed": 1, "in_doubt": 1, "bounced": 0}
    assert (edition.on, today.on) == (thursday, FRIDAY)
    assert not any(today.counts.values())
    chart = draw_mails([before, edition, today])
    assert [piece.look for piece in chart.pieces] == ["sent", "failed", "doubtful"]
    assert chart.text == (
        "2 sent, 1 failed, 1 in doubt or carried over from Wed 16 Sep to Fri 18 Sep."
    )
    assert chart.ends == (date(2026, 9, 16), date(2026, 9, 18))
