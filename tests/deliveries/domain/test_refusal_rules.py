"""Each rule on the words of refusals, by an invented example; masked names; unknown words."""

import pytest

from service.deliveries.domain.refusal_words import RULES, Names, mask_names, weigh_words
from service.deliveries.domain.states import BounceVerdict
from service.platform import linear_regex

V = BounceVerdict

# By rule: what a server may say. None of it is from a collection of real bounces.
EXAMPLES = {
    "our name": [
        "Sender address <digest@paperboy.example> does not exist",
        "Unknown sender domain, fix your DNS",
        "HELO name was not found",
        "Cannot verify the sender, sorry",
        "Unrouteable return path",
    ],
    "passing dns": [
        "Name server timed out for your.example",
        "SERVFAIL while looking up the MX",
        "Host your.example not found, try again",
        "Malformed name server reply",
    ],
    "expired": [
        "The envelope expired",
        "Queue lifetime is over",
        "Your letter has been in my queue too long",
        "Gave up after 12 delivery attempts",
        "All hosts have been failing for a long time",
        "Retry time not reached for any of them",
    ],
    "too large": [
        "Message size exceeds what we take",
        "There are multiple From headers",
        "Your mail is too big",
        "Line limit exceeded",
    ],
    "dangerous content": [
        "A virus was found in it",
        "We allow no executable attachments: forbidden file type",
    ],
    "block list": [
        "Your network is on our block list",
        "Rejected, see https://www.spamhaus.org/lookup/192.0.2.7",
        "Client host [192.0.2.7] blocked using zen.dnsbl.example",
        "Poor reputation",
    ],
    "spam": ["This looks like spam", "Unsolicited mail is not wanted here"],
    "authentication": [
        "DMARC of the domain says no",
        "No PTR record for 192.0.2.7",
        "You must authenticate first; authentication required",
    ],
    "rate": [
        "Daily sending quota is used up",
        "Too many connections from you",
        "They get mail at a rate that is not usual",
        "Throttled",
    ],
    "relaying": ["Relaying denied", "I am not an open relay"],
    "rejected by policy": [
        "Refused for reasons of local policy",
        "Message content rejected",
        "Access denied",
        "Administrative prohibition",
    ],
    "loop or setup": ["Mail loop found", "Too many hops", "Configuration error at our side"],
    "content": ["The attachment was removed and prohibited", "Missing date header"],
    "refused": [
        "Your request was refused by our site",
        "Greylisted",
        "Only accept mail in English",
    ],
    "the way": [
        "Connection to the server timed out",
        "Resources temporarily unavailable",
        "procmail died with status 75",
    ],
    "mailbox full": [
        "User is over quota",
        "Their inbox is full",
        "Postfach ist voll",
        "Mailbox size limit reached: over quota",
    ],
    "space": ["There is not enough storage for it"],
    "unknown user": [
        "Unknown user jane",
        "The account you wrote to does not exist",
        "No mailbox here has this name",
        "jane is not listed in the directory",
        "Recipient unknown",
    ],
    "exchange edge": ["5.4.1 Recipient address rejected: Access denied. AS(1) [edge.example]"],
    "disabled": [
        "This account was suspended in May",
        "Jane has left the institute",
        "The mailbox is no longer in use",
    ],
    "no domain": ["NXDOMAIN for your.example", "Host unknown", "The domain has a null MX"],
    "address": ["Your e-mail was not found valid", "Please check if the address is correct"],
    "other languages": [
        "Cette adresse n'existe pas",
        "Der Empfänger ist unbekannt",
        "Пользователь не найден",
        "用户不存在",
    ],
}


def test_every_rule_has_a_reason_and_examples() -> None:
    assert sorted(EXAMPLES) == sorted(rule.name for rule in RULES)
    assert not [rule.name for rule in RULES if not rule.why.endswith(".")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_examples_of_a_rule_get_its_verdict(rule: object) -> None:
    from service.deliveries.domain.refusal_rules import Rule

    assert isinstance(rule, Rule)
    pattern = linear_regex.compile("|".join(rule.patterns), "ia")
    for text in EXAMPLES[rule.name]:
        vote = weigh_words(text)
        assert vote is not None, text
        assert (vote.verdict, vote.is_sure) == (rule.verdict, rule.is_sure), text
        assert pattern.search(mask_names(text)), text


UNKNOWN = [
    "xyzzy",
    "",
    "Something went wrong, sorry.",
    "Recipient address rejected: on hold for a while",
    "mx.antispam.example said: quux",
    "<virus@example.org>: quux",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_words_that_nobody_understands_have_no_verdict(text: str) -> None:
    assert weigh_words(text) is None


def test_a_refused_address_without_a_reason_is_about_the_address() -> None:
    vote = weigh_words("550 <jane@example.org>: Recipient address rejected.")
    assert vote is not None
    assert (vote.verdict, vote.is_sure) == (V.ADDRESS, False)


ANNE = "jane@uni.example"
OURS = frozenset({"digest@paperboy.example", "paperboy.example"})

NAMED = {
    "Domain paperboy.example does not exist": V.CONFIGURATION,
    "No such domain: mail.paperboy.example": V.CONFIGURATION,
    "<digest@paperboy.example>: user unknown": V.CONFIGURATION,
    "<jane@uni.example>: user unknown": V.ADDRESS,
    "Host uni.example not found": V.ADDRESS,
}


@pytest.mark.parametrize(("text", "verdict"), NAMED.items())
def test_a_missing_name_of_ours_is_our_fault(text: str, verdict: V) -> None:
    vote = weigh_words(text, Names(ANNE, OURS))
    assert vote is not None
    assert vote.verdict is verdict


def test_our_domain_is_no_evidence_where_the_reader_is_in_it_too() -> None:
    names = Names("jane@paperboy.example", OURS)
    vote = weigh_words("550 <jane@paperboy.example>: user unknown at paperboy.example", names)
    assert vote is not None
    assert vote.verdict is V.ADDRESS


def test_names_are_masked() -> None:
    text = "550 <Jane@uni.example> at mx.spam.example: see https://x.example/quota"
    assert mask_names(text, Names(ANNE, OURS)) == "550 <READER> at HOSTNAME: see  LINK "
