"""SPF records as people publish them, and what the doctor says about each."""

import pytest
from support.mail.zone import Zone, texts

from service.operations.domain.spf import SpfNeed, is_allowed, judge_spf, parse_spf

D = "bounces.example.org"
OWN = SpfNeed(addresses=("192.0.2.10",))
SES = SpfNeed(include="amazonses.com", relay="email-smtp.eu-west-1.amazonaws.com")


def zone(record: str | None, *more: str) -> Zone:
    """Return a zone with these records at our domain, and those of some providers."""
    others = {
        "amazonses.com": "v=spf1 ip4:199.255.192.0/22 ip4:54.240.0.0/18 -all",
        "_spf.google.com": "v=spf1 include:_netblocks.google.com include:_netblocks2.google.com ~all",
        "_netblocks.google.com": "v=spf1 ip4:35.190.247.0/24 ip4:64.233.160.0/19 ~all",
        "_netblocks2.google.com": "v=spf1 ip6:2001:4860:4000::/36 ~all",
        "loop.example": "v=spf1 include:loop.example -all",
        "moved.example": "v=spf1 redirect=amazonses.com",
    }
    made = texts(others)
    made.records[(D, "TXT")] = [each for each in (record, *more) if each is not None]
    made.records |= {
        ("mail.example.org", "A"): ["192.0.2.10", "2001:db8::10"],
        (D, "MX"): ["mail.example.org"],
    }
    return made


@pytest.mark.parametrize(
    ("record", "need"),
    [
        ("v=spf1 ip4:192.0.2.10 -all", OWN),
        ("v=spf1 ip4:192.0.2.0/24 ~all", OWN),
        ("V=SPF1 IP4:192.0.2.10 -ALL", OWN),
        ("v=spf1 a:mail.example.org -all", OWN),
        ("v=spf1 a:mail.example.org/28 -all", OWN),
        ("v=spf1 mx -all", OWN),
        ("v=spf1 mx/24//64 -all", OWN),
        ("v=spf1 mx -all", SpfNeed(addresses=("192.0.2.10", "2001:db8::10"))),
        ("v=spf1 include:amazonses.com -all", SES),
        ("v=spf1 include:AmazonSES.com ~all", SES),
        ("v=spf1 redirect=amazonses.com", SES),
        ("v=spf1 redirect=moved.example", SES),
        ("v=spf1 include:_spf.google.com ~all", SpfNeed(include="_spf.google.com")),
        ("v=spf1 include:_spf.google.com include:amazonses.com ~all", SES),
        ("v=spf1 ip4:192.0.2.10 exists:%{i}._spf.example.org -all", OWN),
        ("v=spf1 ip4:192.0.2.10 exp=why.example.org -all", OWN),
        ("v=spf1 a:relay.example.net -all", SpfNeed(relay="relay.example.net")),
    ],
)  # fmt: skip
def test_a_record_that_allows_the_sender_is_good(record: str, need: SpfNeed) -> None:
    found = judge_spf(D, need, zone(record))
    assert (found.state, found.detail) == ("good", f"{record} at {D}")


@pytest.mark.parametrize(
    ("record", "need", "state", "problem", "better"),
    [
        (None, OWN, "bad", "no record", "v=spf1 ip4:192.0.2.10 -all"),
        (None, SES, "bad", "no record", "v=spf1 include:amazonses.com -all"),
        (None, SpfNeed(relay="relay.example.net"), "bad", "no record", "v=spf1 a:relay.example.net -all"),
        ("v=spf10 a -all", OWN, "bad", "no record", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 +all", OWN, "bad", "allows every server", "v=spf1 -all"),
        ("v=spf1 mx all", OWN, "bad", "allows every server", "v=spf1 mx -all"),
        ("v=spf1 -all", OWN, "bad", "does not allow ip4:192.0.2.10", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 include:_spf.google.com ~all", SES, "bad", "does not allow include:amazonses.com", "v=spf1 include:amazonses.com include:_spf.google.com -all"),
        ("v=spf1 -ip4:192.0.2.10 +ip4:192.0.2.0/24 -all", OWN, "bad", "does not allow", "v=spf1 ip4:192.0.2.10 -ip4:192.0.2.10 +ip4:192.0.2.0/24 -all"),
        ("v=spf1 mx -all", SpfNeed(addresses=("2001:db8::99",)), "bad", "ip6:2001:db8::99", "v=spf1 ip6:2001:db8::99 mx -all"),
        ("v=spf1 mx ?all", OWN, "warn", "refuses nobody", "v=spf1 mx -all"),
        ("v=spf1 mx", OWN, "warn", "refuses nobody", "v=spf1 mx -all"),
        ("v=spf1 ip4:mail.example.org -all", OWN, "bad", "does not appear to be", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 ip6:192.0.2.10 -all", OWN, "bad", "other version", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 192.0.2.10 -all", OWN, "bad", "192.0.2.10 is no SPF term", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 include: -all", OWN, "bad", "names no domain", "v=spf1 ip4:192.0.2.10 -all"),
        ("v=spf1 include:loop.example -all", OWN, "bad", "does not allow", "v=spf1 ip4:192.0.2.10 include:loop.example -all"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_the_record_to_publish(
    record: str | None, need: SpfNeed, state: str, problem: str, better: str
) -> None:
    found = judge_spf(D, need, zone(record))
    assert (found.state, problem in found.detail) == (state, True), found
    assert found.hint.startswith(f"Publish as TXT at {D}")
    assert found.hint.endswith(f": {better}")
    assert "\n" not in found.detail + found.hint


def test_two_records_are_merged_into_one() -> None:
    found = judge_spf(D, SES, zone("v=spf1 include:amazonses.com ~all", "v=spf1 mx -all"))
    assert (found.state, found.detail) == ("bad", f"2 records at {D}, so receivers accept none")
    assert found.hint == "Keep one: v=spf1 include:amazonses.com mx -all"


def test_more_than_ten_lookups_are_too_many() -> None:
    included = " ".join(f"include:s{n}.example" for n in range(10))
    made = zone(f"v=spf1 ip4:192.0.2.10 {included} -all")
    assert judge_spf(D, OWN, made).state == "good"
    made.records[("s3.example", "TXT")] = ["v=spf1 a -all"]
    found = judge_spf(D, OWN, made)
    assert found.state == "bad"
    assert "11 lookups" in found.detail


def test_an_included_record_that_is_broken_is_named() -> None:
    made = zone("v=spf1 include:s.example -all")
    made.records[("s.example", "TXT")] = ["v=spf1 ip4:300.1.1.1 -all"]
    found = judge_spf(D, OWN, made)
    assert found.state == "bad"
    assert "300.1.1.1" in found.detail


def test_the_first_mechanism_that_matches_decides() -> None:
    assert is_allowed(D, "192.0.2.7", zone("v=spf1 -ip4:192.0.2.8 ip4:192.0.2.0/24 -all"))
    assert not is_allowed(D, "192.0.2.8", zone("v=spf1 -ip4:192.0.2.8 ip4:192.0.2.0/24 -all"))
    assert not is_allowed(D, "192.0.2.8", zone("v=spf1 ?ip4:192.0.2.8 ~all"))
    # Only a pass of the included record matches; its `-all` does not.
    assert is_allowed(D, "192.0.2.8", zone("v=spf1 include:amazonses.com ip4:192.0.2.8 -all"))


def test_other_records_macros_and_loops_are_followed_as_far_as_they_can_be() -> None:
    assert is_allowed(D, "54.240.1.2", zone("v=spf1 redirect=moved.example"))
    assert not is_allowed(D, "192.0.2.8", zone("v=spf1 redirect=moved.example"))
    assert not is_allowed(D, "192.0.2.8", zone("v=spf1 mx"))
    assert not is_allowed(D, "192.0.2.8", zone(None))
    unknown = "v=spf1 exists:%{i}.example exists:x.example ptr a:%{d} ip4:192.0.2.8 -all"
    assert is_allowed(D, "192.0.2.8", zone(unknown))
    includes = f"include:{D} " * 10
    assert is_allowed(D, "192.0.2.8", zone(f"v=spf1 {includes}ip4:192.0.2.8 -all"))


def test_a_term_is_parsed_into_its_parts() -> None:
    (first, second, third) = parse_spf(
        "v=spf1 ~a:mail.example.org/28 exp=x.example redirect=y.example MX"
    )
    assert (first.qualifier, first.name, first.value) == ("~", "a", "mail.example.org/28")
    assert (second.name, second.value) == ("redirect", "y.example")
    assert (third.qualifier, third.name, third.value) == ("+", "mx", "")
