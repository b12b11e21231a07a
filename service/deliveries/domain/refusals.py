"""What a refusal is about: the address, a full mailbox, the receiver's policy, our content, routes.

Sources: RFC 3463 and the IANA registry of enhanced status codes for the codes; the words of mail
servers for the many refusals whose code says nothing (`5.0.0`) or that bear none. Blame is kept
apart because only the address and the full mailbox say anything about the subscriber: a receiver
that refuses our server refuses it for everybody.
"""

import re
from dataclasses import dataclass

from service.deliveries.domain.refusal_phrases import MOST_CHARACTERS, read_words
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict

_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\d.])([45])\d\d(?=[ -])")

# (subject, detail) of RFC 3463 where the detail decides; the class only says for how long.
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
# Codes that servers give to anything: the words decide, and the table above only where they do not.
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


# In percent of a suppression. A mailbox that is switched off (x.2.1) comes back more often than
# not, a temporary code given up on may be the receiver's bad week, and a failure without a reason
# may be anybody's fault.
CERTAIN, LIKELY, SOFT = 100, 50, 20

Code = tuple[int, int, int]


def classify_refusal(status: str, reply: str, notice: str = "") -> Refusal:
    """Whom a final refusal is about.

    `status` is the reporting server's code, `reply` the words of the server that refused, `notice`
    the letter around both. The refusing server's own code counts for more than the reporter's,
    which often puts 5.1.1 on whatever was refused at RCPT.
    """
    reply, notice = reply[:MOST_CHARACTERS], notice[:MOST_CHARACTERS]
    own = _find_code(reply)
    code = _most_exact(own, _find_code(status)) or _find_code(notice)
    said = read_words(reply) or read_words(notice)
    if code is None:
        return _without_code(said, reply or notice)
    verdict = _verdict_of(code)
    is_exact = code[1:] not in _VAGUE
    if is_exact and not _is_misused(code, own, verdict):
        return Refusal(verdict, _written(code), _weight(code, verdict, is_clear=True))
    if is_exact:
        # Only words that take the blame off the reader overrule an exact code.
        if said in {V.POLICY, V.FULL}:
            return Refusal(said, _written(own or code), _weight(code, said, is_clear=True))
        return Refusal(verdict, _written(code), _weight(code, verdict, is_clear=True))
    if said is None or (said is V.CONFIGURATION and verdict is V.POLICY):
        return Refusal(verdict, _written(code), _weight(code, verdict, is_clear=False))
    return Refusal(said, _written(code), _weight(code, said, is_clear=True))


def _most_exact(own: Code | None, reported: Code | None) -> Code | None:
    """The refusing server's code, unless it is a vague one and the reporter's is not."""
    if own is not None and (own[1:] not in _VAGUE or reported is None):
        return own
    return reported if reported is not None and reported[1:] not in _VAGUE else own or reported


def _find_code(text: str) -> Code | None:
    """The first code in a text that is a failure's; `2.x.x` may stand in a dialogue before it."""
    for found in _CODE.finditer(text):
        if found[1] != "2":
            return int(found[1]), int(found[2]), int(found[3])
    return None


def _written(code: Code) -> str:
    return ".".join(map(str, code))


def _verdict_of(code: Code) -> BounceVerdict:
    kind, subject, detail = code
    if kind == 5 and (subject, detail) == (4, 4):
        # Nobody takes mail for that domain.
        return V.ADDRESS
    if kind == 5 and (subject, detail) == (0, 0):
        # A permanent failure without any reason, which soft weight is right for.
        return V.ADDRESS
    return _BY_DETAIL.get((subject, detail)) or _BY_SUBJECT.get(subject, V.CONFIGURATION)


def _is_misused(code: Code, own: Code | None, verdict: BounceVerdict) -> bool:
    """Whether a code that blames the address may be the reporter's guess, or a passing state.

    The price of believing it would be a reader lost to somebody else's block list.
    """
    return verdict is V.ADDRESS and (code != own or code[0] == 4)


def _without_code(said: BounceVerdict | None, text: str) -> Refusal:
    """The verdict by words alone; a failure that nothing is said of counts softly."""
    if said is None:
        return Refusal(V.ADDRESS, "", SOFT)
    reply = _REPLY.search(text)
    kind = 4 if reply is not None and reply[1] == "4" else 5
    return Refusal(said, "", _weight((kind, 0, 0), said, is_clear=True))


def _weight(code: Code, verdict: BounceVerdict, *, is_clear: bool) -> int:
    if verdict is V.FULL:
        return SOFT
    if verdict is not V.ADDRESS:
        return 0
    if not is_clear:
        return SOFT
    return CERTAIN if code[0] == 5 and code[1:] != (2, 1) else LIKELY
