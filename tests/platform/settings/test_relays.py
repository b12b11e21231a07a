"""Relays are parsed from their URLs, in their order, or refused."""

from pathlib import Path

import pytest

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.settings.load import load_settings
from service.platform.settings.relays import SmtpRelay, parse_smtp_url
from service.platform.settings.settings import Settings


def load(tmp_path: Path, **variables: str) -> Settings:
    given = {f"PAPERBOY_{name}": value for name, value in variables.items()}
    return load_settings(SOURCE_NAMES, {"PAPERBOY_DATA_DIR": str(tmp_path / "data"), **given})


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay.example.org", SmtpRelay("relay.example.org", 25)),
        ("smtp://u:p@h", SmtpRelay("h", 587, "u", "p")),
        ("smtp://me%40x.org:p%2Fw%20%3F@h:26", SmtpRelay("h", 26, "me@x.org", "p/w ?")),
        ("smtps://u:p@h", SmtpRelay("h", 465, "u", "p", use_tls=True, starttls="off")),
        ("smtp://h?starttls=required", SmtpRelay("h", 25, starttls="required")),
        ("smtp://h:2525?starttls=off", SmtpRelay("h", 2525, starttls="off")),
        ("smtp://h?starttls=auto", SmtpRelay("h", 25)),
        ("smtp://h?weight=3", SmtpRelay("h", 25, weight=3)),
        (
            "smtps://h:1465?weight=100&starttls=off",
            SmtpRelay("h", 1465, use_tls=True, starttls="off", weight=100),
        ),
        ("smtp://[::1]:2525", SmtpRelay("::1", 2525)),
    ],
)
def test_a_relay_is_read_from_its_address(url: str, relay: SmtpRelay) -> None:
    assert parse_smtp_url(url) == relay


@pytest.mark.parametrize(
    "url",
    [
        "relay.example.org",
        "smtp://",
        "http://h",
        "smtp://h?starttls=maybe",
        "smtp://h?weight=0",
        "smtp://h?weight=101",
        "smtp://h?weight=-1",
        "smtp://h?weight=²",
        "smtp://h?weight=a.third",
        "smtp://h?weigth=3",
        "smtp://h?ssl=1",
        "smtp://h:99999",
    ],
)
def test_a_malformed_relay_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not|has|Port"):
        parse_smtp_url(url)


def test_several_relays_keep_their_order_and_without_any_the_mailbox_is_used(
    tmp_path: Path,
) -> None:
    settings = load(tmp_path, SMTP_URL="smtp://a:1 smtp://b:2")
    assert [relay.host for relay in settings.relays] == ["a", "b"]
    assert load(tmp_path).relays == (SmtpRelay("127.0.0.1", 1025, starttls="off"),)
