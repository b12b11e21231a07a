"""The names of a sending host, and the host that takes bounces."""

import pytest
from support.mail.zone import Zone

from service.operations.domain.mail_hosts import (
    find_include,
    is_internal,
    judge_bounce_mx,
    judge_sending_host,
    replaces_sender,
)

MAIL, IP, SIX = "mail.example.org", "192.0.2.10", "2001:db8::10"


@pytest.mark.parametrize(
    ("helo", "records", "states"),
    [
        (MAIL, {(MAIL, "A"): [IP], (IP, "PTR"): [MAIL]}, {"HELO": "good", "PTR": "good"}),
        (MAIL, {(MAIL, "A"): [IP], (IP, "PTR"): ["other.example.org", MAIL]}, {"HELO": "good", "PTR": "good"}),
        (MAIL, {(MAIL, "A"): [IP]}, {"HELO": "good", "PTR": "bad"}),
        (MAIL, {(MAIL, "A"): [IP], (IP, "PTR"): ["static.host.example"]}, {"HELO": "good", "PTR": "bad"}),
        (MAIL, {(MAIL, "A"): [IP], (IP, "PTR"): ["a.host.example"], ("a.host.example", "A"): [IP]}, {"HELO": "good", "PTR": "warn"}),
        (MAIL, {}, {"HELO": "bad"}),
        (MAIL, {(MAIL, "A"): ["10.1.2.3"]}, {"HELO": "bad"}),
        (MAIL, {(MAIL, "A"): ["127.0.1.1"]}, {"HELO": "bad"}),
        ("localhost", {}, {"HELO": "bad"}),
        ("", {}, {"HELO": "bad"}),
        ("ubuntu.localdomain", {}, {"HELO": "bad"}),
    ],
)  # fmt: skip
def test_the_sending_host_has_a_name_in_both_directions(
    helo: str, records: dict[tuple[str, str], list[str]], states: dict[str, str]
) -> None:
    found = list(judge_sending_host(helo, Zone(records)))
    assert {each.subject: each.state for each in found} == states
    assert all(each.hint for each in found if each.state != "good")


def test_each_address_of_the_host_needs_a_name() -> None:
    zone = Zone({(MAIL, "A"): [IP, SIX], (IP, "PTR"): [MAIL]})
    found = [each for each in judge_sending_host(MAIL, zone) if each.subject == "PTR"]
    assert [each.state for each in found] == ["good", "bad"]
    assert found[1].hint == f"Ask the owner of {SIX} to set its PTR to {MAIL}"


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ({("b.example", "MX"): [MAIL], (MAIL, "A"): [IP]}, "good"),
        ({("b.example", "MX"): [MAIL, "gone.example"], (MAIL, "A"): [IP]}, "bad"),
        ({("b.example", "MX"): [""]}, "bad"),
        ({}, "bad"),
        ({("b.example", "A"): [IP]}, "warn"),
    ],
)
def test_the_bounce_domain_has_a_host_that_takes_its_mail(
    records: dict[tuple[str, str], list[str]], state: str
) -> None:
    found = judge_bounce_mx("b.example", MAIL, Zone(records), is_ours=True)
    assert found.state == state
    assert found.hint == ("" if state == "good" else f"Publish as MX at b.example: 10 {MAIL}. (the host that reads the bounces)")  # fmt: skip
    softer = judge_bounce_mx("b.example", MAIL, Zone(records), is_ours=False).state
    assert softer == state.replace("bad", "warn")


def test_relays_of_providers_are_known_by_their_names() -> None:
    assert find_include("email-smtp.eu-west-1.amazonaws.com") == "amazonses.com"
    assert (
        find_include("smtp.gmail.com") == find_include("smtp-relay.GMAIL.com") == "_spf.google.com"
    )
    assert find_include("relay.example.net") == find_include("notgmail.com") == ""
    assert replaces_sender("smtp.postmarkapp.com")
    assert not replaces_sender("smtp.gmail.com")


def test_internal_addresses_are_known() -> None:
    assert all(map(is_internal, ("127.0.0.1", "::1", "10.0.0.1", "172.30.57.1", "192.168.1.1", "fd00::1", "fe80::1")))  # fmt: skip
    assert not any(map(is_internal, ("192.0.2.1", "8.8.8.8", "2001:db8::1", "172.32.0.1")))
