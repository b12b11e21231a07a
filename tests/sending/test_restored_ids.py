"""Ids that a lost database gave away after its backup open nothing in the restored one."""

from collections.abc import Callable

from sqlalchemy import text
from support.newsletter.press import PlannedTransport, Press
from support.servers.dumps import Again

from service.platform.signing.tokens import Purpose, is_held_by, make_token
from service.sending.deliver import deliver
from service.sending.restore_guard import accept_restored
from service.subscribers.store.models import Subscriber

ANNE, BERT, CARL = "anne@example.org", "bert@example.org", "carl@example.org"


def test_a_restored_database_gives_no_id_twice_and_a_reused_one_opens_nothing(
    press: Press, backup: Callable[[], Again]
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    restore = backup()
    (bert,) = press.add_subscribers(BERT)
    with press.sessions() as session:
        holder = session.get_one(Subscriber, bert)
        link = make_token(Purpose.UNSUBSCRIBE, holder, press.clock())
        assert is_held_by(link, holder)
    deliver(press.sender(PlannedTransport()))
    used = highest_ids(press)
    restore()
    # A sign-up before the operator has confirmed the restore gets an id that was used.
    assert press.add_subscribers(CARL) == [bert]
    with press.sessions() as session:
        assert not is_held_by(link, session.get_one(Subscriber, bert))
    assert accept_restored(press.sessions, press.settings, press.clock.forward(minutes=5)).until
    assert press.add_subscribers("dora@example.org")[0] > used["subscribers"] + 1_000_000
    after = highest_ids(press)
    assert after.keys() == used.keys()
    assert {"subscribers", "deliveries", "papers", "topics", "editions"} <= after.keys()
    assert all(after[table] > used[table] + 1_000_000 for table in used)


def highest_ids(press: Press) -> dict[str, int]:
    """Return the last id of each table's sequence, by table."""
    with press.sessions() as session:
        rows = session.execute(
            text("SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences")
        ).all()
    return {name.removesuffix("_id_seq"): last for name, last in rows}
