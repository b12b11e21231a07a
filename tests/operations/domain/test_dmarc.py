"""DMARC by RFC 9989: the tree walk, the record that applies, and what belongs to the From domain."""

import pytest
from support.mail.zone import Zone, texts

from service.operations.domain.dmarc import (
    find_policy,
    is_aligned,
    judge_alignment,
    judge_dmarc,
    organisational_domain,
    parse_dmarc,
    walk_names,
    walk_tree,
)

ASKED = "dmarc@example.org"
REJECT = "v=DMARC1; p=reject; rua=mailto:d@example.com"


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("example.com", ["example.com", "com"]),
        ("mail.example.co.uk", ["mail.example.co.uk", "example.co.uk", "co.uk", "uk"]),
        # RFC 9989 §4.10: of a name of eight labels and more, seven remain after the first question.
        ("a.b.c.d.e.f.g.h.i.j.example.com", [
            "a.b.c.d.e.f.g.h.i.j.example.com", "f.g.h.i.j.example.com", "g.h.i.j.example.com",
            "h.i.j.example.com", "i.j.example.com", "j.example.com", "example.com", "com",
        ]),
        ("a.b.c.d.e.f.example.com", [
            "a.b.c.d.e.f.example.com", "b.c.d.e.f.example.com", "c.d.e.f.example.com",
            "d.e.f.example.com", "e.f.example.com", "f.example.com", "example.com", "com",
        ]),
    ],
)  # fmt: skip
def test_the_walk_asks_at_most_eight_names(domain: str, names: list[str]) -> None:
    assert walk_names(domain) == names
    zone = Zone()
    walk_tree(domain, zone)
    assert zone.asked == [f"_dmarc.{name}" for name in names]


@pytest.mark.parametrize(
    ("domain", "records", "organisation", "applied"),
    [
        ("example.com", {}, "example.com", None),
        ("mail.example.com", {}, "mail.example.com", None),
        ("example.com", {"example.com": REJECT}, "example.com", "example.com"),
        ("mail.example.com", {"example.com": REJECT}, "example.com", "example.com"),
        ("a.mail.example.com", {"mail.example.com": REJECT, "example.com": REJECT}, "example.com", "example.com"),
        ("mail.example.com", {"mail.example.com": REJECT, "example.com": REJECT}, "example.com", "mail.example.com"),
        # A part of an organisation that stands alone (psd=n) ends the walk.
        ("x.lab.uni.edu", {"lab.uni.edu": "v=DMARC1; p=none; psd=n", "uni.edu": REJECT}, "lab.uni.edu", "lab.uni.edu"),
        # A public suffix (psd=y): the organisation is one label below it.
        ("mail.giant.bank", {"bank": "v=DMARC1; p=reject; psd=y"}, "giant.bank", "bank"),
        ("giant.bank", {"bank": "v=DMARC1; p=reject; psd=y"}, "giant.bank", "bank"),
        ("a.mail.giant.co.bank", {"giant.co.bank": REJECT, "co.bank": "v=DMARC1; p=none; psd=y"}, "giant.co.bank", "giant.co.bank"),
        # The suffix itself sends mail.
        ("bank", {"bank": "v=DMARC1; p=reject; psd=y"}, "bank", "bank"),
        # A record that is none is passed over.
        ("mail.example.com", {"mail.example.com": "v=DMARC1; p=maybe", "example.com": REJECT}, "example.com", "example.com"),
    ],
)  # fmt: skip
def test_the_organisation_and_the_record_that_applies(
    domain: str, records: dict[str, str], organisation: str, applied: str | None
) -> None:
    found = walk_tree(domain, texts({f"_dmarc.{name}": text for name, text in records.items()}))
    assert organisational_domain(domain, found) == organisation
    policy = find_policy(domain, found)
    assert (policy and policy[0]) == applied


def test_of_two_records_at_one_name_none_counts() -> None:
    zone = Zone({("_dmarc.example.com", "TXT"): [REJECT, REJECT.replace("reject", "none")]})
    assert walk_tree("example.com", zone) == {}
    found = judge_dmarc("example.com", ASKED, zone)
    assert (found.state, found.hint) == ("bad", f"Keep one: {REJECT}")


@pytest.mark.parametrize(
    ("text", "policy", "below"),
    [
        ("v=DMARC1; p=none", "none", "none"),
        ("v=DMARC1;p=reject;sp=quarantine;adkim=s;aspf=s;fo=1", "reject", "quarantine"),
        ("v=DMARC1; P=Quarantine; SP=", "quarantine", "quarantine"),
        ("v=DMARC1; rua=mailto:d@example.com", "none", "none"),
        ("v=DMARC1; p=unknown; rua=mailto:d@example.com", "none", "none"),
        ("v = DMARC1 ; p = none", "none", "none"),
    ],
)
def test_a_record_is_parsed(text: str, policy: str, below: str) -> None:
    record = parse_dmarc(text)
    assert record is not None
    assert (record.policy, record.below) == (policy, below)


@pytest.mark.parametrize(
    "text",
    ["", "v=spf1 -all", "p=none; v=DMARC1", "v=DMARC2; p=none", "v=DMARC1", "v=DMARC1; p=", "v=dmarc1; p=none"],
)  # fmt: skip
def test_a_text_that_receivers_would_not_use_is_no_record(text: str) -> None:
    assert parse_dmarc(text) is None


@pytest.mark.parametrize(
    ("records", "state", "detail", "hint"),
    [
        ({"example.org": "v=DMARC1; p=none; rua=mailto:d@example.org"}, "good", "p=none for news.example.org, by the record at _dmarc.example.org", ""),
        ({"example.org": "v=DMARC1; p=none; sp=reject; rua=mailto:d@example.org"}, "good", "p=reject for news.example.org, by", ""),
        ({}, "bad", "no record at _dmarc.news.example.org or above it", f"v=DMARC1; p=none; rua=mailto:{ASKED}"),
        ({"news.example.org": "v=DMARC1; p=all"}, "bad", "no policy that receivers know", f"v=DMARC1; p=none; rua=mailto:{ASKED}"),
        ({"example.org": "v=DMARC1; p=none"}, "warn", "nobody gets reports", f"v=DMARC1; p=none; rua=mailto:{ASKED}"),
        ({"example.org": "v=DMARC1; p=reject; pct=50; rua=mailto:d@example.org"}, "warn", "pct is not used any more", "v=DMARC1; p=reject; rua=mailto:d@example.org"),
    ],
)  # fmt: skip
def test_what_the_doctor_says_of_a_policy(
    records: dict[str, str], state: str, detail: str, hint: str
) -> None:
    zone = texts({f"_dmarc.{name}": text for name, text in records.items()})
    found = judge_dmarc("news.example.org", ASKED, zone)
    assert (found.state, detail in found.detail, found.hint.endswith(hint)) == (
        state,
        True,
        True,
    ), found
    assert bool(found.hint) is (state != "good")


@pytest.mark.parametrize(
    ("one", "other", "is_strict", "expected"),
    [
        ("example.org", "example.org", True, True),
        ("example.org", "bounces.example.org", False, True),
        ("news.example.org", "bounces.example.org", False, True),
        ("example.org", "bounces.example.org", True, False),
        ("example.org", "example.com", False, False),
        ("example.org", "badexample.org", False, False),
        # Below a public suffix two names are two organisations.
        ("one.bank", "two.bank", False, False),
        # A laboratory that stands alone is not its university.
        ("lab.uni.edu", "uni.edu", False, False),
    ],
)
def test_alignment(one: str, other: str, is_strict: bool, expected: bool) -> None:
    zone = texts(
        {
            "_dmarc.example.org": REJECT,
            "_dmarc.bank": "v=DMARC1; p=reject; psd=y",
            "_dmarc.lab.uni.edu": "v=DMARC1; p=none; psd=n",
            "_dmarc.uni.edu": REJECT,
        }
    )
    assert is_aligned(one, other, zone, is_strict=is_strict) is expected


@pytest.mark.parametrize(
    ("record", "envelope", "signer", "states"),
    [
        ("p=none", "bounces.example.org", "example.org", ["good", "good"]),
        ("p=none; aspf=s", "bounces.example.org", "example.org", ["warn", "good"]),
        ("p=none; adkim=s", "bounces.example.org", "mail.example.org", ["good", "warn"]),
        ("p=none; aspf=s; adkim=s", "bounces.example.org", "mail.example.org", ["bad", "bad"]),
        ("p=none", "bounces.elsewhere.example", "elsewhere.example", ["bad", "bad"]),
        ("p=none", "example.org", "", ["good", "good"]),
        ("p=none", "bounces.elsewhere.example", "", ["bad", "warn"]),
    ],
)
def test_one_of_spf_and_dkim_must_belong_to_the_from_domain(
    record: str, envelope: str, signer: str, states: list[str]
) -> None:
    zone = texts({"_dmarc.example.org": f"v=DMARC1; {record}"})
    found = list(judge_alignment("example.org", envelope, signer, zone))
    assert [each.subject for each in found] == ["SPF alignment", "DKIM alignment"]
    assert [each.state for each in found] == states
    assert all(each.hint for each in found if each.state != "good")


def test_a_relay_with_an_envelope_sender_of_its_own_leaves_only_dkim() -> None:
    zone = texts({"_dmarc.example.org": "v=DMARC1; p=none"})
    spf, dkim = judge_alignment("example.org", "example.org", "", zone, is_envelope_known=False)
    assert (spf.state, dkim.state) == ("good", "warn")
    assert "--probe" in dkim.hint
