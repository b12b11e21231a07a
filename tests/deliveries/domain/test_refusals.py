"""The classification of refusals: by an exact code, or else by the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.refusals import CERTAIN, LIKELY, SOFT, classify_refusal
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict

CODES = {
    "5.1.1": V.ADDRESS,
    "5.1.2": V.ADDRESS,
    "5.1.10": V.ADDRESS,
    "5.1.351": V.ADDRESS,
    "5.1.8": V.CONFIGURATION,
    "5.2.1": V.ADDRESS,
    "4.2.2": V.FULL,
    "5.2.2": V.FULL,
    "5.2.3": V.CONTENT,
    "5.3.4": V.CONTENT,
    "5.3.2": V.CONFIGURATION,
    "4.4.4": V.CONFIGURATION,
    "5.4.4": V.ADDRESS,
    "5.4.6": V.CONFIGURATION,
    "5.4.310": V.ADDRESS,
    "5.5.2": V.CONFIGURATION,
    "5.6.0": V.CONTENT,
    "5.7.9": V.POLICY,
    "5.7.13": V.ADDRESS,
    "5.7.26": V.POLICY,
    "5.7.515": V.POLICY,
    "4.7.650": V.POLICY,
    "5.9.9": V.CONFIGURATION,
}


@pytest.mark.parametrize(("code", "verdict"), CODES.items())
def test_an_exact_code_decides(code: str, verdict: V) -> None:
    refusal = classify_refusal(code, f"550 {code} so it is")
    assert (refusal.verdict, refusal.code) == (verdict, code)


WORDS = {
    "550 No such user here": V.ADDRESS,
    "550 <x@example.org>: User unknown in virtual alias table": V.ADDRESS,
    "Sorry, no mailbox here by that name": V.ADDRESS,
    "This account has been disabled or discontinued": V.ADDRESS,
    "553 sorry, that recipient is not in our list of valid recipients": V.ADDRESS,
    "DNS Error: NXDOMAIN Domain name not found": V.ADDRESS,
    "Host or domain name not found": V.ADDRESS,
    "L'adresse n'existe pas": V.ADDRESS,
    "550 Recipient address rejected": V.ADDRESS,
    "550 5.4.1 Recipient address rejected: Access denied [edge.example]": V.ADDRESS,
    "552 Mailbox full": V.FULL,
    "user is over quota": V.FULL,
    "account is overquota": V.FULL,
    "552 Requested mail action aborted: exceeded storage allocation": V.FULL,
    "552 Message size exceeds fixed maximum message size: 10485760": V.CONTENT,
    "550 illegal attachment on your message": V.CONTENT,
    "550 Virus detected": V.CONTENT,
    "554 Duplicate header 'Subject'": V.CONTENT,
    "554 Service unavailable; client [192.0.2.1] blocked using rbl.example": V.POLICY,
    "550 Recipient address rejected: Policy violation": V.POLICY,
    "554 Message rejected as spam": V.POLICY,
    "550 SPF check failed": V.POLICY,
    "You have reached your daily relay quota": V.POLICY,
    "554 relay access denied": V.POLICY,
    "Connection timed out": V.CONFIGURATION,
    "554 too many hops": V.CONFIGURATION,
    "550 Sender address rejected: Domain not found": V.CONFIGURATION,
    "550 Unroutable sender address": V.CONFIGURATION,
    "Host not found, try again": V.CONFIGURATION,
    "this message has been in the queue too long": V.CONFIGURATION,
}


@pytest.mark.parametrize(("text", "verdict"), WORDS.items())
def test_the_text_decides_where_there_is_no_code(text: str, verdict: V) -> None:
    assert classify_refusal("", text).verdict is verdict


def test_the_notice_decides_where_the_reply_says_nothing() -> None:
    assert classify_refusal("5.0.0", "", "the mailbox is full").verdict is V.FULL


def test_a_vague_code_yields_to_the_text_and_is_still_reported() -> None:
    refusal = classify_refusal("5.0.0", "550 User unknown")
    assert (refusal.verdict, refusal.code, refusal.weight) == (V.ADDRESS, "5.0.0", CERTAIN)


def test_the_refusing_servers_code_overrides_the_reporters() -> None:
    refusal = classify_refusal("4.4.7", "450 4.2.2 mailbox full")
    assert (refusal.verdict, refusal.code) == (V.FULL, "4.2.2")


def test_an_exact_reported_code_overrides_a_vague_refusal() -> None:
    assert classify_refusal("5.2.2", "550 5.0.0 no").code == "5.2.2"


def test_a_block_list_suppresses_nobody_though_the_reporter_blames_the_address() -> None:
    refusal = classify_refusal("5.1.1", "550 5.7.1 IP address blacklisted")
    assert (refusal.verdict, refusal.code, refusal.weight) == (V.POLICY, "5.7.1", 0)


def test_the_reporters_code_stands_where_the_text_does_not_contradict_it() -> None:
    assert classify_refusal("5.1.1", "550 who is that").verdict is V.ADDRESS


def test_the_refusing_servers_own_code_is_trusted() -> None:
    assert classify_refusal("5.1.1", "550 5.1.1 refused by the recipient's spam settings").weight


def test_a_policy_code_is_not_overruled_by_text_about_servers() -> None:
    assert classify_refusal("4.7.0", "421 connection refused for now").verdict is V.POLICY


def test_a_success_code_in_the_dialogue_is_ignored() -> None:
    refusal = classify_refusal("", "250 2.1.0 sender ok; 550 5.1.1 nobody")
    assert refusal.code == "5.1.1"


def test_numbers_that_only_look_like_codes_are_ignored() -> None:
    assert classify_refusal("", "host 5.1.1.9 said: mailbox is full").code == ""


WEIGHTS = [
    ("5.1.1", "550 5.1.1 user unknown", CERTAIN),
    ("5.2.1", "550 5.2.1 disabled", LIKELY),
    ("4.0.0", "DNS: domain does not exist", LIKELY),
    ("5.0.0", "", SOFT),
    ("", "", SOFT),
    ("", "450 user unknown", LIKELY),
    ("", "550 user unknown", CERTAIN),
    ("", "user unknown", CERTAIN),
    ("5.2.2", "552 5.2.2 full", SOFT),
    ("5.7.1", "554 5.7.1 spam", 0),
]


@pytest.mark.parametrize(("status", "reply", "weight"), WEIGHTS)
def test_the_weight_of_a_refusal_follows_its_certainty(
    status: str, reply: str, weight: int
) -> None:
    assert classify_refusal(status, reply).weight == weight


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_no_text_raises_and_only_address_verdicts_have_weight(
    status: str, reply: str, notice: str
) -> None:
    refusal = classify_refusal(status, reply, notice)
    assert refusal.weight == 0 or refusal.verdict in {V.ADDRESS, V.FULL}
