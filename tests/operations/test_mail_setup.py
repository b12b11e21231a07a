"""The doctor looks at DNS and at relays as receivers do, and prints what to publish."""

from pathlib import Path

import dns.resolver
import dns.zone
import pytest
from support.mail.dkim_keys import ed25519_key, rsa_key, write_key
from support.newsletter.examined import BOUNCES, MAIL, ask, publish
from support.newsletter.press import Press
from support.servers.name_server import NameServer
from support.smtp.scripted_smtp import ScriptedSmtp, make_certificate, server_context
from support.smtp.smtp_sink import SmtpSink, free_port

from service.operations.dns_lookup import DnsLookup, DnsUnavailable
from service.operations.doctor import examine
from service.operations.domain.finding import Finding
from service.operations.mail_setup import check_mail_setup
from service.operations.relay_checks import Greeting
from service.platform.settings.dkim_keys import DkimKey

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def press(healthy_press: Press) -> Press:
    return healthy_press


def test_a_domain_without_records_has_a_hint_where_to_publish_them(
    press: Press, name_server: NameServer
) -> None:
    name_server.records = {BOUNCES: "some other text"}
    found = ask(press, alert_to="Desk <desk@paperboy.example>")
    assert found["SPF"] == Finding(
        "SPF",
        "bad",
        f"no record at {BOUNCES}",
        f"Publish as TXT at {BOUNCES}: v=spf1 ip4:192.0.2.10 -all",
    )
    assert found["DMARC"] == Finding(
        "DMARC",
        "bad",
        "no record at _dmarc.paperboy.example or above it",
        "Publish as TXT at _dmarc.paperboy.example: v=DMARC1; p=none; rua=mailto:desk@paperboy.example",
    )


def test_a_name_server_that_fails_is_a_warning(press: Press, name_server: NameServer) -> None:
    name_server.records[BOUNCES] = None
    assert ask(press)["SPF"].state == "warn"


def test_without_any_name_server_the_doctor_waits_only_once(press: Press) -> None:
    away = dns.resolver.Resolver(configure=False)
    away.nameservers, away.port, away.lifetime = ["127.0.0.1"], free_port(), 0.2
    lookup = DnsLookup(away)
    for name in ("one.example", "two.example"):
        with pytest.raises(DnsUnavailable):
            lookup.txt(name)
    findings = examine(press.settings, press.sessions, None, dns.resolver.Resolver(configure=False))
    found = {one.subject: one.state for one in findings}
    assert [found[name] for name in ("SPF", "DMARC", "HELO", "bounce MX")] == ["warn"] * 4
    assert "bad" not in found.values()


def test_the_zone_file_of_the_deployment_pages_is_all_good(
    press: Press, name_server: NameServer, tmp_path: Path
) -> None:
    """Answer with the records of docs/deploy, for an installation that has those names."""
    zone = dns.zone.from_file(str(ROOT / "docs/deploy/example.org.zone"), relativize=False)
    name_server.records = {}
    name_server.others = {("10.2.0.192.in-addr.arpa", "PTR"): ["mail.example.org."]}
    for name, node in zone.nodes.items():
        for each in node:
            key = (name.to_text(omit_final_dot=True), dns.rdatatype.to_text(each.rdtype))
            name_server.others[key] = [one.to_text() for one in each]
    path = write_key(tmp_path / "ed.pem", ed25519_key())
    signing = DkimKey("paperboy2026", ed25519_key())
    publish(name_server, "paperboy2026._domainkey.example.org", signing.record)
    relay = ScriptedSmtp(answers={"EHLO": "250 mail.example.org"})
    found = ask(
        press,
        mail_from="Paperboy <digest@example.org>",
        bounce_domain="bounces.example.org",
        dkim_keys=(f"paperboy2026={path}",),
        smtp_url=(f"smtp://127.0.0.1:{relay.port}?starttls=off",),
    )
    relay.stop()
    names = {"SPF", "DMARC", "SPF alignment", "DKIM alignment", "DKIM paperboy2026", "HELO", "PTR", "bounce MX"}  # fmt: skip
    assert {name: found[name].state for name in names} == dict.fromkeys(names, "good")


def test_a_relay_of_others_needs_its_spf_record_and_no_names_of_ours(
    press: Press, name_server: NameServer
) -> None:
    name_server.records[BOUNCES] = "v=spf1 mx -all"
    lookup = DnsLookup(name_server.resolver)

    def check(url: str, **changes: object) -> dict[str, Finding]:
        here = press.settings.model_copy(update={"smtp_url": (url,), **changes})
        greeting = Greeting(here.relays[0], "mx.relay.example", is_own=False)
        return {one.subject: one for one in check_mail_setup(here, lookup, [greeting])}

    found = check("smtp://u:p@smtp.gmail.com:587")
    assert found["SPF"].hint.endswith(": v=spf1 include:_spf.google.com mx -all")
    assert not {"HELO", "PTR"} & found.keys()
    assert check("smtp://relay.example.net")["SPF"].state == "good"
    # Amazon SES checks SPF at a domain of its own, and takes the bounces there.
    found = check("smtp://u:p@email-smtp.eu-west-1.amazonaws.com:587", bounce_domain="")
    assert not {"SPF", "bounce MX"} & found.keys()
    assert (found["SPF alignment"].state, found["DKIM alignment"].state) == ("good", "warn")


def test_a_sending_host_without_names_is_told_what_to_set(
    press: Press, name_server: NameServer
) -> None:
    name_server.others[("10.2.0.192.in-addr.arpa", "PTR")] = ["host-10.provider.example."]
    found = ask(press)["PTR"]
    assert (found.state, found.hint) == (
        "bad",
        f"Ask the owner of 192.0.2.10 to set its PTR to {MAIL}",
    )
    relay = ScriptedSmtp(answers={"EHLO": "250 localhost"})
    found = ask(press, smtp_url=(f"smtp://127.0.0.1:{relay.port}?starttls=off",))["HELO"]
    relay.stop()
    assert found.state == "bad"
    assert "myhostname" in found.hint


def test_the_development_mailbox_is_no_sending_host(press: Press, smtp_sink: SmtpSink) -> None:
    found = ask(press, smtp_url=(), mailbox_url=smtp_sink.url)
    assert "HELO" not in found
    assert not any(name.startswith("TLS") for name in found)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_the_certificate_must_be_for_the_host_in_the_setting(
    press: Press, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    relay = ScriptedSmtp(server_context(certificate), is_tls_first=scheme == "smtps")
    option = "?starttls=required" if scheme == "smtp" else ""
    # The certificate is for 127.0.0.1 alone.
    good = ask(press, smtp_url=(f"{scheme}://127.0.0.1:{relay.port}{option}",))
    assert good[f"TLS 127.0.0.1:{relay.port}"].state == "good"
    bad = ask(press, smtp_url=(f"{scheme}://localhost:{relay.port}{option}",))
    found = bad[f"TLS localhost:{relay.port}"]
    relay.stop()
    assert found.state == "bad"
    assert "localhost" in found.detail
    assert found.hint.startswith("The certificate is for 127.0.0.1: write that host in SMTP_URL")


def test_a_relay_that_must_offer_starttls_and_does_not_is_bad(press: Press) -> None:
    relay = ScriptedSmtp()
    url = f"smtp://127.0.0.1:{relay.port}"
    found = ask(press, smtp_url=(f"{url}?starttls=required",))[f"TLS 127.0.0.1:{relay.port}"]
    assert (found.state, found.detail) == ("bad", "STARTTLS is not offered")
    assert f"TLS 127.0.0.1:{relay.port}" not in ask(press, smtp_url=(url,))
    relay.stop()


def test_a_sender_without_a_public_domain_is_a_warning(press: Press) -> None:
    found = ask(press, mail_from="Paperboy <digest@localhost>")
    assert found["sender"].state == "warn"
    assert "SPF" not in found


def test_published_dkim_keys_are_compared_with_the_files(
    press: Press, name_server: NameServer, tmp_path: Path
) -> None:
    rsa = DkimKey("rsa2026", rsa_key())
    words = (
        f"rsa2026={write_key(tmp_path / 'rsa.pem', rsa_key())}",
        f"ed2026={write_key(tmp_path / 'ed.pem', ed25519_key())}",
    )
    host = "rsa2026._domainkey.paperboy.example"
    found = ask(press, dkim_keys=words)
    assert (found["DKIM rsa2026"].state, found["DKIM ed2026"].state) == ("bad", "bad")
    assert f"TXT at {host}: {rsa.record}" in found["DKIM rsa2026"].hint
    publish(name_server, host, rsa.record)
    name_server.records["ed2026._domainkey.paperboy.example"] = rsa.record[:80]
    found = ask(press, dkim_keys=words)
    assert found["DKIM rsa2026"] == Finding("DKIM rsa2026", "good", f"rsa, published at {host}")
    assert "key file is ed25519" in found["DKIM ed2026"].detail
    name_server.records[host] = None
    assert ask(press, dkim_keys=words)["DKIM rsa2026"].state == "warn"


def test_without_keys_dkim_is_not_checked_and_a_bad_key_is_reported_once(
    press: Press, tmp_path: Path
) -> None:
    assert [name for name in ask(press) if "dkim" in name.lower()] == ["DKIM alignment"]
    here = press.settings.model_copy(update={"dkim_keys": (f"s={tmp_path / 'none.pem'}",)})
    findings = [one for one in examine(here, press.sessions, None) if "dkim" in one.subject.lower()]
    assert [(one.subject, one.state) for one in findings] == [
        ("dkim_keys", "bad"),
        ("DKIM alignment", "good"),
    ]
