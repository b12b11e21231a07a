"""Classify a refusal: about the address, a full mailbox, the receiver's policy, content, or routes.

Sources: RFC 3463 and the IANA registry of enhanced status codes for the codes; phrases of mail
servers for the many refusals with a vague code (`5.0.0`) or none. The distinction matters because
only the address and the full mailbox concern the subscriber: a receiver that refuses our server
refuses it for everybody.
"""

from dataclasses import dataclass

from service.deliveries.domain.refusal_phrases import MOST_CHARACTERS, classify_words
from service.deliveries.domain.states import BounceVerdict
from service.platform import linear_regex

V = BounceVerdict

_NUMBERS = linear_regex.compile(r"[\d.]+", "a")
# A whole run of digits and dots: refusals also quote IP addresses such as 5.1.1.9.
_CODE = linear_regex.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?:\.|\.\..*)?", "a")
_REPLY = linear_regex.compile(r"(?:^|[^\d.])([45])\d\d[ -]", "a")

# (subject, detail) of RFC 3463 where the detail decides; the class says only if it is permanent.
_BY_DETAIL: dict[tuple[int, int], BounceVerdict] = {
    (1, 7): V.CONFIGURATION,  # our own address as the sender is bad
    (1, 8): V.CONFIGURATION,
    (1, 9): V.CONFIGURATION,
    (2, 2): V.FULL,
    (2, 3): V.CONTENT,
    (2, 4): V.CONFIGURATION,
    (3, 4): V.CONTENT,
    (4, 310): V.ADDRESS,  # Exchange Online: the domain does not exist
    (7, 13): V.ADDRESS,  # user account disabled
    (7, 17): V.ADDRESS,  # mailbox owner has changed (RFC 7293)
    (7, 18): V.ADDRESS,  # domain owner has changed
}
_BY_SUBJECT: dict[int, BounceVerdict] = {
    1: V.ADDRESS,
    2: V.ADDRESS,
    3: V.CONFIGURATION,
    4: V.CONFIGURATION,
    5: V.CONFIGURATION,
    6: V.CONTENT,
    7: V.POLICY,
}
# Codes that servers use for anything: the text decides, and the table above only if it does not.
_VAGUE = frozenset(
    {(0, 0), (1, 0), (2, 0), (3, 0), (3, 5), (4, 0), (4, 1), (4, 7), (5, 0), (5, 1)}
    | {(7, 0), (7, 1)}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verdict with the enhanced code it rests on (empty where none was given).

    `weight` is how much of a suppression it makes, in percent: see `service.bounces.domain.thresholds`.
    """

    verdict: BounceVerdict
    code: str = ""
    weight: int = 0


# In percent of a suppression. A disabled mailbox (x.2.1) is enabled again more often than not, a
# temporary code may be a passing fault of the receiver, and a failure without a reason may be
# about anything.
CERTAIN, LIKELY, SOFT = 100, 50, 20

Code = tuple[int, int, int]


def classify_refusal(status: str, reply: str, notice: str = "") -> Refusal:
    """Return what a final refusal is about, with the code and weight of the verdict.

    `status` is the reporting server's code, `reply` the text of the server that refused, `notice`
    the mail around both. The refusing server's own code takes precedence over the reporter's, which
    is often 5.1.1 for anything refused at RCPT.
    """
    reply, notice = reply[:MOST_CHARACTERS], notice[:MOST_CHARACTERS]
    own = _find_code(reply)
    code = _most_exact(own, _find_code(status)) or _find_code(notice)
    by_text = classify_words(reply) or classify_words(notice)
    if code is None:
        return _without_code(by_text, reply or notice)
    verdict = _verdict_of(code)
    is_exact = code[1:] not in _VAGUE
    if is_exact and not _is_misused(code, own, verdict):
        return Refusal(verdict, _code_text(code), _weight(code, verdict, is_clear=True))
    if is_exact:
        # Only text that is not about the address overrules an exact code.
        if by_text in {V.POLICY, V.FULL}:
            return Refusal(by_text, _code_text(own or code), _weight(code, by_text, is_clear=True))
        return Refusal(verdict, _code_text(code), _weight(code, verdict, is_clear=True))
    if by_text is None or (by_text is V.CONFIGURATION and verdict is V.POLICY):
        return Refusal(verdict, _code_text(code), _weight(code, verdict, is_clear=False))
    return Refusal(by_text, _code_text(code), _weight(code, by_text, is_clear=True))


def _most_exact(own: Code | None, reported: Code | None) -> Code | None:
    """Return the refusing server's code, unless it is vague and the reporter's is not."""
    if own is not None and (own[1:] not in _VAGUE or reported is None):
        return own
    return reported if reported is not None and reported[1:] not in _VAGUE else own or reported


def _find_code(text: str) -> Code | None:
    """Return the first failure code in a text; a quoted dialogue may have `2.x.x` before it."""
    for numbers in _NUMBERS.finditer(text):
        found = _CODE.fullmatch(numbers[0])
        if found and found[1] != "2":
            return int(found[1]), int(found[2]), int(found[3])
    return None


def _code_text(code: Code) -> str:
    return ".".join(map(str, code))


def _verdict_of(code: Code) -> BounceVerdict:
    kind, subject, detail = code
    if kind == 5 and (subject, detail) == (4, 4):
        # No server accepts mail for that domain.
        return V.ADDRESS
    if kind == 5 and (subject, detail) == (0, 0):
        # A permanent failure without any reason, which gets the soft weight.
        return V.ADDRESS
    return _BY_DETAIL.get((subject, detail)) or _BY_SUBJECT.get(subject, V.CONFIGURATION)


def _is_misused(code: Code, own: Code | None, verdict: BounceVerdict) -> bool:
    """Return whether a code about the address may be the reporter's guess, or temporary.

    Trusting such a code could suppress a subscriber because of a block list.
    """
    return verdict is V.ADDRESS and (code != own or code[0] == 4)


def _without_code(by_text: BounceVerdict | None, text: str) -> Refusal:
    """Return the verdict by text alone; a failure without a known phrase has the soft weight."""
    if by_text is None:
        return Refusal(V.ADDRESS, "", SOFT)
    reply = _REPLY.search(text)
    kind = 4 if reply is not None and reply[1] == "4" else 5
    return Refusal(by_text, "", _weight((kind, 0, 0), by_text, is_clear=True))


def _weight(code: Code, verdict: BounceVerdict, *, is_clear: bool) -> int:
    if verdict is V.FULL:
        return SOFT
    if verdict is not V.ADDRESS:
        return 0
    if not is_clear:
        return SOFT
    return CERTAIN if code[0] == 5 and code[1:] != (2, 1) else LIKELY
