"""Addresses that are not ASCII, from the sign-up to the relay."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.mail.dkim_keys import ed25519_key, verdicts, write_key
from support.newsletter.press import Press
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import SmtpSink

from service.deliveries.domain.recipients import SubscriberState
from service.platform.settings.dkim_keys import DkimKey
from service.sending.deliver import deliver
from service.subscribers.bulk_import import add_subscriber, blank_sign_up
from service.subscribers.lifecycle import erase
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.subscribers.validate import SignUpError, validate_sign_up

ANNE = "Änne.Müller@Bücher.example"
ON_THE_WIRE = "Änne.Müller@xn--bcher-kva.example"


pytestmark = pytest.mark.settings(smtputf8=True)


def sign_up(press: Press, address: str) -> None:
    with press.sessions.begin() as session:
        form = blank_sign_up(press.settings, address, ["cat:cs.CL"])
        keys = press.settings.secret_key
        valid = validate_sign_up(session, form, takes_utf8=press.settings.smtputf8)
        add_subscriber(session, valid, keys, press.clock(), is_confirmed=True)


def state_of(press: Press) -> SubscriberState:
    with press.sessions() as session:
        return session.execute(select(Subscriber.state)).scalar_one()


def test_a_digest_reaches_an_address_outside_ascii_signed(
    press: Press, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    sign_up(press, ANNE)
    press.add_papers(1)
    press.publish()
    words = (f"s={write_key(tmp_path / 'ed.pem', ed25519_key())}",)
    sender = press.sender(dkim_keys=words)
    deliver(sender)
    sender.transport.close()
    digest = smtp_sink.messages[-1]
    assert digest.envelope.rcpt_tos == [ON_THE_WIRE]
    assert "SMTPUTF8" in digest.envelope.mail_options
    content = digest.envelope.original_content or b""
    assert f"\r\nTo: {ON_THE_WIRE}\r\n".encode() in content
    record = DkimKey("s", ed25519_key()).record
    assert verdicts(content, {"s._domainkey.paperboy.example": record}) == [True]


def test_a_relay_without_smtputf8_fails_only_that_mail_and_suppresses_no_address(
    press: Press,
) -> None:
    sign_up(press, ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    relay = ScriptedSmtp()
    sender = press.sender(smtp_url=(f"smtp://127.0.0.1:{relay.port}?starttls=off",))
    deliver(sender)
    sender.transport.close()
    relay.stop()
    assert press.states(edition_id) == {"failed": 1}
    assert press.rows(edition_id)[0].reason == "553 5.6.7 the relay does not support SMTPUTF8"
    assert relay.taken == []
    assert state_of(press) is SubscriberState.ACTIVE


def test_a_domain_outside_ascii_needs_no_smtputf8(press: Press) -> None:
    sign_up(press, "anne@Bücher.example")
    press.add_papers(1)
    press.publish()
    relay = ScriptedSmtp()
    sender = press.sender(smtp_url=(f"smtp://127.0.0.1:{relay.port}?starttls=off",))
    report = deliver(sender)
    sender.transport.close()
    relay.stop()
    assert report.failed == 0
    assert {one.recipient for one in relay.taken} == {"anne@xn--bcher-kva.example"}
    assert not [line for line in relay.lines if "SMTPUTF8" in line]


def test_both_spellings_of_a_domain_are_one_subscriber_and_one_suppression(press: Press) -> None:
    sign_up(press, ANNE)
    with press.sessions.begin() as session:
        subscriber = find_by_email(session, ON_THE_WIRE.casefold())
        assert subscriber is not None
        erase(session, subscriber, press.settings.secret_key, press.clock())
    sign_up(press, "änne.müller@XN--BCHER-KVA.example")
    with press.sessions() as session:
        assert session.execute(select(Subscriber.id)).first() is None


@pytest.mark.settings(smtputf8=False)
def test_without_the_setting_such_an_address_is_refused_at_sign_up(press: Press) -> None:
    with pytest.raises(SignUpError, match="outside ASCII before the @"):
        sign_up(press, ANNE)
    sign_up(press, "anne@Bücher.example")
