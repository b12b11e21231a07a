"""Classify a refusal: about the address, a full mailbox, the receiver's policy, content, or routes.

Sources: RFC 3463 and the IANA registry of enhanced status codes for the codes; phrases of mail
servers (`refusal_rules`) for what the code leaves open. Both are weighed: only the address and the
full mailbox concern the subscriber, and a receiver that refuses our server refuses it for everybody,
so a code about the address stands only if no sure words speak of us. What neither explains is
`unknown` and counts nothing.
"""

from dataclasses import dataclass

from service.deliveries.domain.refusal_words import (
    MOST_CHARACTERS,
    NO_NAMES,
    Names,
    WordsVote,
    weigh_words,
)
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
_ABOUT_SUBSCRIBER = frozenset({V.ADDRESS, V.FULL})
# Codes that servers use for anything: the text decides, and the table above only if it does not.
_VAGUE = frozenset(
    {(0, 0), (1, 0), (2, 0), (3, 0), (3, 5), (4, 0), (4, 1), (4, 7), (5, 0), (5, 1)}
    | {(7, 0), (7, 1)}
)
# Vague codes that say less than "it failed": without words they are nobody's fault.
_EMPTY = frozenset({(0, 0), (5, 0), (5, 1)})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verdict with the enhanced code it rests on (empty where none was given).

    `weight` is how much of a suppression it makes, in percent: see `service.bounces.domain.thresholds`.
    """

    verdict: BounceVerdict
    code: str = ""
    weight: int = 0


# In percent of a suppression. A disabled mailbox (x.2.1) is enabled again more often than not, a
# temporary code may be a passing fault of the receiver, and likely words may mean something else.
CERTAIN, LIKELY, SOFT = 100, 50, 20

Code = tuple[int, int, int]


def classify_refusal(status: str, reply: str, notice: str = "", names: Names = NO_NAMES) -> Refusal:
    """Return what a final refusal is about, with the code and weight of the verdict.

    `status` is the reporting server's code, `reply` the text of the server that refused, `notice`
    the mail around both. The refusing server's own code takes precedence over the reporter's, which
    is often 5.1.1 for anything refused at RCPT. `names` are the reader's address and our names.
    """
    reply, notice = reply[:MOST_CHARACTERS], notice[:MOST_CHARACTERS]
    own = _find_code(reply)
    code = _most_exact(own, _find_code(status)) or _find_code(notice)
    words = weigh_words(reply, names) or (weigh_words(notice, names) if notice != reply else None)
    if code is None:
        return _without_code(words, reply or notice)
    verdict = _weigh(code, own, words)
    is_own = own is not None and verdict is not _verdict_of(code)
    text = _code_text(own if is_own and own is not None else code)
    return Refusal(verdict, text, _weight(code, own, words, verdict, has_text=bool(reply.strip())))


def _weigh(code: Code, own: Code | None, words: WordsVote | None) -> BounceVerdict:
    """Return the verdict of a code and the words, the heavier of which decides.

    An exact code is heavier than likely words, and lighter than sure ones if it blames the reader
    and they do not; a vague code is lighter than any words. A code that only the reporter gives, or
    a temporary one, is a guess about the reader, and lighter than all words about something else.
    """
    by_code = _verdict_of(code)
    if code[1:] in _VAGUE:
        if words is None:
            return V.UNKNOWN if code[1:] in _EMPTY else by_code
        is_likely_way = words.verdict is V.CONFIGURATION and not words.is_sure
        return by_code if is_likely_way and by_code is V.POLICY else words.verdict
    if words is None or words.verdict is by_code:
        return by_code
    if by_code not in _ABOUT_SUBSCRIBER:
        # Codes of routes are given for quotas as well: 5.4.5 where too many mails came in a day.
        is_rule = words.verdict in {V.POLICY, V.CONTENT} and words.is_sure
        is_route = by_code is V.CONFIGURATION and code[1] != 1
        return words.verdict if is_rule and is_route else by_code
    is_guess = code != own or code[0] == 4
    if words.is_sure and words.verdict is not V.ADDRESS:
        return words.verdict
    return words.verdict if is_guess and words.verdict not in _ABOUT_SUBSCRIBER else by_code


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
    return _BY_DETAIL.get((subject, detail)) or _BY_SUBJECT.get(subject, V.CONFIGURATION)


def _without_code(words: WordsVote | None, text: str) -> Refusal:
    """Return the verdict by text alone."""
    if words is None:
        return Refusal(V.UNKNOWN)
    reply = _REPLY.search(text)
    kind = 4 if reply is not None and reply[1] == "4" else 5
    weight = _weight((kind, 0, 0), None, words, words.verdict, has_text=True)
    return Refusal(words.verdict, "", weight)


def _weight(
    code: Code, own: Code | None, words: WordsVote | None, verdict: BounceVerdict, *, has_text: bool
) -> int:
    """Return the weight of a verdict. A code counts as certain if the words do not leave a doubt."""
    if verdict is not V.ADDRESS:
        return SOFT if verdict is V.FULL else 0
    is_named = words is not None and words.verdict is V.ADDRESS
    if code[1:] in _VAGUE:
        is_sure = words is not None and words.is_sure and code[0] == 5
        return CERTAIN if is_sure else LIKELY if words is not None else SOFT
    if code[1:] == (2, 1) and words is None and has_text:
        # "It accepts no messages", for a reason that nobody understands.
        return SOFT
    if code[0] == 4 or code[1:] in {(2, 1), (7, 13)}:
        return LIKELY
    # Without words, x.4.4 may be a fault of a name server as well.
    is_clear = is_named or (code[1:] != (4, 4) and (code == own or not has_text))
    return CERTAIN if is_clear else LIKELY
