"""What the words of a refusal are about: names are masked, then the rules are tried by their weight.

Names are masked because they say nothing: `mx.antispam.example` may refuse a user who does not
exist, and a reader may be called `virus@example.org`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.deliveries.domain.refusal_rules import OURS, Rule
from service.deliveries.domain.refusal_rules_subscriber import ADDRESS, FULL
from service.deliveries.domain.states import BounceVerdict
from service.platform import linear_regex
from service.platform.caches import cached
from service.platform.linear_regex import LinearPattern

V = BounceVerdict

# Longer than any real reply; it bounds the search time in untrusted text.
MOST_CHARACTERS = 8000

RULES: tuple[Rule, ...] = (*OURS, *FULL, *ADDRESS)


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a refusal may hold: the reader's address, and our addresses and domains.

    All in lower case. A domain of ours that the reader's address is in says nothing.
    """

    subscriber: str = ""
    ours: frozenset[str] = field(default_factory=frozenset)

    def ours_only(self) -> frozenset[str]:
        """Return our names without those that are in the reader's address, or above its domain."""
        domain = "." + self.subscriber.rpartition("@")[2]
        return frozenset(
            name for name in self.ours - {self.subscriber, ""} if not domain.endswith(f".{name}")
        )


NO_NAMES = Names()


@dataclass(frozen=True, slots=True)
class WordsVote:
    """What the words are about. `is_sure`: these words are used for nothing else."""

    verdict: BounceVerdict
    is_sure: bool


# Tried in this order; the first that matches is the words' vote. Sure words about us come first:
# "mailbox unavailable, sender blocked" is no word against the reader. Of the likely ones, those
# about the address come before general words of refusing, which nearly every refusal has.
_ORDER: tuple[tuple[BounceVerdict, bool], ...] = (
    (V.CONTENT, True),
    (V.POLICY, True),
    (V.FULL, True),
    (V.ADDRESS, True),
    (V.CONFIGURATION, True),
    (V.FULL, False),
    (V.CONTENT, False),
    (V.ADDRESS, False),
    (V.POLICY, False),
    (V.CONFIGURATION, False),
)


def _compile(rules: Iterable[Rule]) -> LinearPattern[str]:
    # Classes of ASCII make a smaller automaton; other alphabets are written out in the rules.
    return linear_regex.compile("|".join(p for rule in rules for p in rule.patterns), "ia")


_OUR_NAME = _compile(rule for rule in OURS if rule.name in {"our name", "passing dns"})
_EDGE = _compile(rule for rule in ADDRESS if rule.name == "exchange edge")
_EXPIRED = _compile(rule for rule in OURS if rule.name == "expired")
_BY_WEIGHT = tuple(
    (
        WordsVote(verdict, is_sure),
        _compile(
            rule
            for rule in RULES
            if (rule.verdict, rule.is_sure) == (verdict, is_sure)
            and rule.name not in {"our name", "passing dns", "exchange edge", "expired"}
        ),
    )
    for verdict, is_sure in _ORDER
)

# Postfix writes this before every refusal at RCPT, whatever the reason after the colon.
_PREFIX = linear_regex.compile(
    r"(?:recipient |destination |to |rcpt to )?address(?:es)? (?:was |is |has been )?rejected\W*",
    "i",
)
_SENDER_PREFIX = linear_regex.compile(
    r"(?:sender|client|ip)(?: ip| e-?mail)? address (?:was |is |has been )?rejected\b", "i"
)
# Any word after it is a reason, which may be one that nobody understands.
_OTHER_REASON = linear_regex.compile(r"\b(?:[a-z]{2,}|[A-Z][a-z]+)\b")
# Phrases that mean something else with what follows them, which is all that is kept.
_NOT_MEANT = linear_regex.compile(
    r"\bno (?:mail ?box|account|user|valid recipients?|recipients?|local user|matching (?:address|user|recipient))( (?:specified|in message))"
    r"|mail ?box[^.\n]{0,10}unavailable( for policy)"
    r"|(?:black|block|deny)-?list(?:ed|s|ing)?( by recipient's own)",
    "i",
)

# A block list is named by its zone or its page; every other name of a host says nothing.
_LIST_NAME = linear_regex.compile(
    r"(?:using|in|on|by|at|see|from|visit|against)\W{1,3}(?:https?:/{0,2})?[\w./-]*(?:spamhaus|spamcop|sorbs|barracudacentral|uceprotect|senderscore|dnsbl|\brbl|surbl|uribl|abuseat|blocklist|blacklist)[\w./?=&%-]*",
    "ia",
)
_LINK = linear_regex.compile(r"(?:https?|ftp|mailto):[^\s<>\"')\]]+", "i")
_ADDRESS_NAME = linear_regex.compile(r"<?[^\s<>()\[\]:;,@\"]+@[\w.-]+>?", "a")
_HOST_NAME = linear_regex.compile(
    r"\b(?:[a-z0-9_-]+\.)+(?:com|net|org|edu|gov|mil|int|info|biz|name|example|test|invalid|local|email|cloud|[a-z]{2})\b\.?",
    "ia",
)


@cached("patterns of our names", maxsize=64)
def _own_pattern(name: str) -> LinearPattern[str]:
    """Return a pattern of a domain with its subdomains and addresses, or of one address."""
    exact = linear_regex.escape(name)
    inner = exact if "@" in name else rf"(?:[^\s<>@]+@)?(?:[\w-]+\.)*{exact}"
    return linear_regex.compile(rf"<?(?:^|\b){inner}\b>?", "ia")


def mask_names(text: str, names: Names = NO_NAMES) -> str:
    """Return a text on one line, with a word in place of each name."""
    joined = " ".join(text[:MOST_CHARACTERS].split())
    if names.subscriber:
        joined = _replace(joined, names.subscriber, "READER")
    lowered = joined.lower()
    # The longest first, so that an address is not torn by its own domain.
    for name in sorted(names.ours_only(), key=len, reverse=True):
        if name in lowered:
            joined = _own_pattern(name).sub("OURNAME", joined)
    if "." not in joined:
        return joined
    joined = _LIST_NAME.sub(" listed on dnsbl ", joined)
    joined = _LINK.sub(" LINK ", joined)
    if "@" in joined:
        joined = _ADDRESS_NAME.sub("ADDR", joined)
    return _HOST_NAME.sub("HOSTNAME", joined)


def _replace(text: str, name: str, word: str) -> str:
    """Replace a name in any case."""
    start = text.lower().find(name)
    while start >= 0 and len(text) == len(text.lower()):
        text = text[:start] + word + text[start + len(name) :]
        start = text.lower().find(name, start + len(word))
    return text


def blames_our_name(text: str, names: Names) -> bool:
    """Return whether a text is about a name of ours that is missing, or about a failing name server."""
    return bool(_OUR_NAME.search(mask_names(text, names)))


def weigh_words(text: str, names: Names = NO_NAMES) -> WordsVote | None:
    """Return what a refusal's text (its first `MOST_CHARACTERS`) is about; None if it is unknown."""
    masked = mask_names(text, names)
    if not masked:
        return None
    if _EDGE.search(masked):
        return WordsVote(V.ADDRESS, is_sure=False)
    meant = _NOT_MEANT.sub(lambda found: f" {found[found.lastindex or 0]}", masked)
    if _OUR_NAME.search(meant):
        return WordsVote(V.CONFIGURATION, is_sure=True)
    meant = _SENDER_PREFIX.sub("sender blocked", meant)
    reasons = _PREFIX.sub(" ", meant)
    vote = next((vote for vote, words in _BY_WEIGHT if words.search(reasons)), None)
    # A time-out names the last fault beside it, which decides unless it is about the address.
    if (vote is None or vote.verdict in {V.ADDRESS, V.CONFIGURATION}) and _EXPIRED.search(reasons):
        return WordsVote(V.CONFIGURATION, is_sure=True)
    if vote is None and reasons != meant and not _OTHER_REASON.search(reasons):
        return WordsVote(V.ADDRESS, is_sure=False)
    return vote
