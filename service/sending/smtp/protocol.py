"""What is said to a relay from the first MAIL on, and what its replies mean for each message.

No socket and no clock: bytes in, bytes out, so that every order of replies can be tested. Where the
relay offers PIPELINING (RFC 2920) MAIL, RCPT and DATA go out together, and before them the body of
the last message, which the RFC allows as the first of a group: one round trip a message. A body is
only ever said after its own 354.
"""

import re
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.caches import cached
from service.platform.one_line import plain_words

# RFC 5321 §4.5.3.1.5 allows 512 octets a line of a reply, and nobody's refusal is a novel.
_LONGEST_REPLY = 32_768
_CONTROL = re.compile("[\x00-\x20\x7f<>]")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT_AT_START = re.compile(rb"(?m)^\.")


class Awaited(IntEnum):
    """Which reply comes next."""

    RESET = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    DOT = 4


class SmtpClientProtocol:
    """One connection's talk. `next_envelope` gives the next message or None; it is told whether it
    is asked early, while the verdict on the last message is still awaited.

    After `begin`, `hear` and `lose`, `said` holds what must be written and `landed` what came of
    messages; the caller empties both. `is_over` once nothing more may be said here.
    """

    def __init__(
        self,
        next_envelope: Callable[[bool], Envelope | None],
        *,
        is_pipelined: bool,
        takes_utf8: bool,
    ) -> None:
        self._next = next_envelope
        self._is_pipelined = is_pipelined
        self._takes_utf8 = takes_utf8
        self._heard = b""
        self._lines: list[str] = []
        self._awaited: deque[Awaited] = deque()
        # The message whose MAIL is said, how far it came and what refused it; and the message
        # whose body is said.
        self._opened: Envelope | None = None
        self._phase = Phase.MAIL
        self._refusal: SendOutcome | None = None
        self._judged: Envelope | None = None
        self.said: list[bytes] = []
        self.landed: list[tuple[Envelope, SendOutcome]] = []
        self.is_over = False

    @property
    def awaited(self) -> Awaited | None:
        """The reply that is waited for; None while the connection rests."""
        return self._awaited[0] if self._awaited else None

    def begin(self, *, is_checked: bool = False) -> None:
        """Say the next message, if there is one. With `is_checked` a RSET must be answered before:
        a connection that rested may be gone without a word."""
        if is_checked:
            self._say(b"RSET\r\n", Awaited.RESET)
        else:
            self._open_next(is_early=False)

    def hear(self, data: bytes) -> None:
        """Take what the relay said; half a line waits for its rest."""
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            if self.is_over:
                return
            self._hear_line(line)
        if len(self._heard) > _LONGEST_REPLY or sum(map(len, self._lines)) > _LONGEST_REPLY:
            self._give_up(-1, "a reply without an end")

    def lose(self, why: str) -> None:
        """The connection is gone, or nobody waits any longer: no reply will come."""
        if not self.is_over:
            self._give_up(0, why)

    def _hear_line(self, line: bytes) -> None:
        code, is_last, words = _read_line(line)
        if not code:
            self._give_up(-1, f"no reply of SMTP: {words[:200]}")
        elif is_last and not self._lines:
            self._hear_reply(code, words)
        else:
            self._lines.append(words)
            if is_last:
                told, self._lines = " ".join(filter(None, self._lines)), []
                self._hear_reply(code, told)

    def _hear_reply(self, code: int, text: str) -> None:
        if not self._awaited:
            # RFC 5321 §3.8: 421 may come at any time. Anything else is no partner for us.
            self.is_over = True
            return
        awaited = self._awaited.popleft()
        if awaited is Awaited.DOT:
            self._hear_verdict(code, text)
        elif awaited is Awaited.RESET:
            self._hear_reset(code, text)
        elif awaited is Awaited.DATA:
            self._hear_go_ahead(code, text)
        elif code // 100 != 2:
            self._refuse(code, text)
        elif awaited is Awaited.MAIL:
            self._phase = Phase.RCPT
            if not self._is_pipelined and self._opened is not None:
                self._say(_rcpt(self._opened), Awaited.RCPT)
        elif not self._is_pipelined:
            self._say(b"DATA\r\n", Awaited.DATA)

    def _hear_reset(self, code: int, text: str) -> None:
        if code == 250:
            self._open_next(is_early=False)
        else:
            self._give_up(0, text)

    def _hear_go_ahead(self, code: int, text: str) -> None:
        envelope = self._opened
        if code != 354 or envelope is None:
            self._refuse(code, text)
        elif self._refusal is not None:
            # It wants a body for nobody (RFC 2920 §3.1). Whatever were said now might be a message.
            self._give_up(0, "354 after a refusal")
        else:
            self._opened, self._judged = None, envelope
            self.said.append(wire_form(envelope))
            self._say(b".\r\n", Awaited.DOT)
            if self._is_pipelined:
                self._open_next(is_early=True)

    def _refuse(self, code: int, text: str) -> None:
        """Keep the first refusal; in a group the replies to its rest must be heard as well."""
        self._refusal = self._refusal or SendOutcome(self._phase, code, text)
        if code == 421:
            self._give_up(0, text)
        elif not {Awaited.RCPT, Awaited.DATA} & {*self._awaited}:
            self._drop_opened()

    def _drop_opened(self) -> None:
        """A refused message lands, and RSET clears what the relay may remember of it."""
        if self._opened is not None and self._refusal is not None:
            self.landed.append((self._opened, self._refusal))
        self._opened = self._refusal = None
        self._say(b"RSET\r\n", Awaited.RESET)

    def _hear_verdict(self, code: int, text: str) -> None:
        if self._judged is None or code // 100 not in {2, 4, 5}:
            # Rubbish is no verdict, and what was said stays in doubt.
            self._give_up(0, f"no verdict: {code} {text}")
            return
        self.landed.append((self._judged, SendOutcome(Phase.REPLIED, code, text)))
        self._judged = None
        if code == 421:
            self._give_up(0, text)
        elif self._opened is None:
            self._open_next(is_early=False)

    def _open_next(self, *, is_early: bool) -> None:
        """Open the next message that can be said at all; others land without a word on the wire."""
        while (envelope := self._next(is_early)) is not None:
            outcome = _unspeakable(envelope, takes_utf8=self._takes_utf8)
            if outcome is None:
                self._open(envelope)
                return
            self.landed.append((envelope, outcome))

    def _open(self, envelope: Envelope) -> None:
        self._opened, self._phase = envelope, Phase.MAIL
        if self._is_pipelined:
            self.said.append(b"%b%bDATA\r\n" % (_mail(envelope), _rcpt(envelope)))
            self._awaited += (Awaited.MAIL, Awaited.RCPT, Awaited.DATA)
        else:
            self._say(_mail(envelope), Awaited.MAIL)

    def _say(self, command: bytes, awaited: Awaited) -> None:
        self.said.append(command)
        self._awaited.append(awaited)

    def _give_up(self, code: int, why: str) -> None:
        """End the talk: what was said whole is in doubt, what was only opened was never sent."""
        self.is_over = True
        if self._judged is not None:
            self.landed.append((self._judged, SendOutcome(Phase.DATA, 0, why)))
        if self._opened is not None:
            # A code belongs to the reply that was due; behind a body that was the body's.
            told = 0 if self._judged is not None else code
            outcome = self._refusal or SendOutcome(self._phase, told, why)
            self.landed.append((self._opened, outcome))
        self._opened = self._judged = self._refusal = None
        self._awaited.clear()


# Most replies are the same for every message.
@cached("SMTP reply lines", maxsize=256)
def _read_line(line: bytes) -> tuple[int, bool, str]:
    """A line's code, whether it is its reply's last, and its words; 0 where it is no reply's."""
    text = line.decode("utf-8", "replace").rstrip()
    if not (line[:3].isdigit() and text[3:4] in {"", " ", "-"}):
        return 0, True, plain_words(text)
    return int(line[:3]), text[3:4] != "-", plain_words(text[4:])


def wire_form(envelope: Envelope) -> bytes:
    """The message as DATA carries it before the final dot: CRLF after every line, dots doubled at
    line starts (RFC 5321 §4.5.2)."""
    payload = envelope.payload
    if not envelope.is_wire:
        payload = _DOT_AT_START.sub(b"..", _LINE_END.sub(b"\r\n", payload))
        if not payload.endswith(b"\r\n"):
            payload += b"\r\n"
    return payload


def _mail(envelope: Envelope) -> bytes:
    utf8 = b"" if envelope.recipient.isascii() else b" SMTPUTF8"
    return b"MAIL FROM:<%b>%b\r\n" % (envelope.sender.encode(), utf8)


def _rcpt(envelope: Envelope) -> bytes:
    return b"RCPT TO:<%b>\r\n" % envelope.recipient.encode()


def _unspeakable(envelope: Envelope, *, takes_utf8: bool) -> SendOutcome | None:
    """Why no command can hold this message's addresses, or None."""
    if not envelope.sender.isascii() or _CONTROL.search(envelope.sender):
        return SendOutcome(Phase.MAIL, 501, "5.5.4 no command can hold the sender's address")
    if _CONTROL.search(envelope.recipient):
        return SendOutcome(Phase.RCPT, 501, "5.5.4 no command can hold this address")
    if not envelope.recipient.isascii() and not takes_utf8:
        return SendOutcome(Phase.RCPT, 553, "5.6.7 the relay takes no such address")
    return None
