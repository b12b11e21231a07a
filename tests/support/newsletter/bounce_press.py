"""A press whose mails bounce, with the common steps of tests of bounces."""

from sqlalchemy import func, select

from service.bounces.record import Channel, Reading, record_bounce_mail
from service.bounces.store.models import BounceEvent
from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.return_path import make_return_path
from service.deliveries.store.models import Delivery
from service.platform.signing.address_hash import email_key
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber
from service.subscribers.store.suppressions import find_reason
from support.mail.bounce_mails import SUBSCRIBER
from support.newsletter.press import PlannedTransport, Press


def send_digest(press: Press, transport: PlannedTransport | None = None) -> Delivery:
    press.add_subscribers(SUBSCRIBER)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(transport or PlannedTransport()))
    return press.row()


def take(press: Press, raw: bytes, *receivers: str, trust: bool = False) -> Reading:
    channel = Channel(press.settings, "file", trusts_addresses=trust)
    return record_bounce_mail(press.sessions, channel, raw, press.clock(), receivers)


def outcomes(reading: Reading) -> list[str]:
    return [one.outcome for one in reading.recorded]


def path_of(press: Press, delivery: Delivery) -> str:
    path = make_return_path(delivery.id, press.settings.bounce_domain, press.settings.secret_key[0])
    assert path is not None
    return path


def subscriber_of(press: Press) -> Subscriber:
    with press.sessions() as session:
        return session.execute(select(Subscriber)).scalar_one()


def reason_for(press: Press, address: str = SUBSCRIBER) -> SuppressionReason | None:
    with press.sessions() as session:
        return find_reason(session, email_key(address), press.settings.secret_key)


def count_events(press: Press) -> int:
    with press.sessions() as session:
        return session.execute(select(func.count()).select_from(BounceEvent)).scalar_one()
