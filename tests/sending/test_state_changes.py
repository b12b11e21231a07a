"""Every transition of a delivery, recorded by a trigger, is an allowed one."""

import pytest
from sqlalchemy import Engine, text
from support.newsletter.press import ACCEPTED, LATER, NOBODY, SILENCE, PlannedTransport, Press

from service.deliveries.domain.states import DeliveryState, SendOutcome, may_follow
from service.messages.mime.mime import Envelope
from service.sending.deliver import deliver, sweep
from service.sending.store.claim import resolve_in_doubt
from service.subscribers.lifecycle import suppress_address

WATCH = """
CREATE TABLE changes (old delivery_state, new delivery_state);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO changes VALUES (OLD.state, NEW.state); RETURN NEW; END $$;
CREATE TRIGGER watch BEFORE UPDATE ON deliveries FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION note_change();
"""
ANSWERS = {"accepted": ACCEPTED, "later": LATER, "nobody": NOBODY, "silence": SILENCE}


def answer(envelope: Envelope) -> SendOutcome:
    return ANSWERS.get(envelope.recipient.partition("@")[0], ACCEPTED)


class Died(Exception):
    """Ends the sender as if its process had died."""


def die() -> None:
    raise Died


@pytest.mark.parametrize(
    "answered", [DeliveryState.SENT, DeliveryState.QUEUED, DeliveryState.CARRIED]
)
def test_sending_makes_only_allowed_transitions(
    press: Press, engine: Engine, answered: DeliveryState
) -> None:
    with engine.begin() as connection:
        connection.execute(text(WATCH))
    press.add_subscribers(*(f"{name}@example.org" for name in ANSWERS), "gone@example.org")
    press.add_papers(1, 2)
    edition_id = press.publish()
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "gone@example.org", keys, "asked", press.clock())
    with pytest.raises(Died):
        deliver(press.sender(PlannedTransport(meanwhile=die), send_window=1))
    sweep(press.sessions, press.clock.forward(hours=1))
    deliver(press.sender(PlannedTransport(answer)))
    with press.sessions.begin() as session:
        resolve_in_doubt(session, edition_id, answered, "by the operator", press.clock())
    press.clock.forward(minutes=20)
    deliver(press.sender(PlannedTransport()))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT DISTINCT old, new FROM changes")).all()
    changes = {(DeliveryState(old), DeliveryState(new)) for old, new in rows}
    assert (DeliveryState.IN_DOUBT, answered) in changes
    assert (DeliveryState.IN_FLIGHT, DeliveryState.IN_DOUBT) in changes
    assert {new for _, new in changes} >= set(DeliveryState) - {
        DeliveryState.CARRIED,
        DeliveryState.BOUNCED,
        DeliveryState.COMPLAINED,
    }
    assert [change for change in changes if not may_follow(*change)] == []
    assert press.balance(edition_id).closes
