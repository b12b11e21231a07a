"""Signing: messages arrive over SMTP with valid signatures."""

from pathlib import Path

import pytest
from support.mail.dkim_keys import ed25519_key, rsa_key, verdicts, write_key
from support.newsletter.press import Press
from support.smtp.smtp_sink import SmtpSink

from service.messages.identity import signer_of
from service.platform.settings.dkim_keys import DkimKey
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.sending.report import DeliverReport

ANNE = "anne@example.org"


def test_a_digest_arrives_with_valid_signatures(
    press: Press, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    words = (
        f"rsa={write_key(tmp_path / 'rsa.pem', rsa_key())}",
        f"ed={write_key(tmp_path / 'ed.pem', ed25519_key())}",
    )
    sender = press.sender(dkim_keys=words)
    assert deliver(sender) == DeliverReport(sent=1)
    sender.transport.close()
    keys = DkimKey("rsa", rsa_key()), DkimKey("ed", ed25519_key())
    records = {f"{key.selector}._domainkey.paperboy.example": key.record for key in keys}
    arrived = smtp_sink.messages[0].envelope.original_content or b""
    assert verdicts(arrived, records) == [True, True]


@pytest.mark.parametrize(
    ("changes", "domain"),
    [
        ({}, "paperboy.example"),
        ({"mail_from": "digest@News.Paperboy.example"}, "news.paperboy.example"),
        ({"mail_from": "P <d@news.p.example>", "dkim_domain": "p.example"}, "p.example"),
        ({"mail_from": "Post <post@münchen.example>"}, "xn--mnchen-3ya.example"),
    ],
)
def test_the_signing_domain_is_that_of_from_unless_set(
    settings: Settings, tmp_path: Path, changes: dict[str, str], domain: str
) -> None:
    assert signer_of(settings) is None
    path = write_key(tmp_path / "ed.pem", ed25519_key())
    signer = signer_of(settings.model_copy(update={"dkim_keys": (f"s={path}",), **changes}))
    assert signer is not None
    assert signer.domain == domain
