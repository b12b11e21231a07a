"""The client side of SMTP from the first MAIL on, as a sans-io state machine.

It has no socket and no clock: bytes in, bytes out, so that every order of replies can be tested.
Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go out together, and before them
the body of the previous message, which the RFC allows as the first of a group: one round trip per
message. A body is sent only after its own 354.
"""

import re
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.caches import cached
from service.platform.one_line import normalise_line

# RFC 5321 §4.5.3.1.5 allows 512 octets per reply line; this bounds the whole reply.
_LONGEST_REPLY = 32_768
_CONTROL = re.compile("[\x00-\x20\x7f<>]")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_DOT_AT_START = re.compile(rb"(?m)^\.")


class Awaited(IntEnum):
    """Which command the next reply answers."""

    RESET = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    DOT = 4


class SmtpClientProtocol:
    """The state of one connection. `next_envelope(is_early)` returns the next message or None;
    `is_early` is true while the final reply to the previous message is still awaited.

    After `start`, `feed` and `abort`, `outgoing` holds the bytes to write and `landed` the messages
    with their outcomes; the caller empties both. `is_over` is true once nothing more may be sent.
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
        self._buffer = b""
        self._lines: list[str] = []
        self._awaited: deque[Awaited] = deque()
        # The message whose MAIL is sent, how far it got and what refused it; and the message
        # whose body is sent, without a final reply yet.
        self._opened: Envelope | None = None
        self._phase = Phase.MAIL
        self._refusal: SendOutcome | None = None
        self._unanswered: Envelope | None = None
        self._ends_at_final_reply = False
        self.outgoing: list[bytes] = []
        self.landed: list[tuple[Envelope, SendOutcome]] = []
        self.is_over = False

    @property
    def awaited(self) -> Awaited | None:
        """The reply that comes next; None while the connection is idle."""
        return self._awaited[0] if self._awaited else None

    def start(self, *, is_checked: bool = False) -> None:
        """Send the next message, if there is one. With `is_checked` the relay must first answer a
        RSET, because an idle connection may have been dropped without notice.
        """
        if is_checked:
            self._send(b"RSET\r\n", Awaited.RESET)
        else:
            self._open_next(is_early=False)

    def feed(self, data: bytes) -> None:
        """Process bytes from the relay; an incomplete line is buffered."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if self.is_over:
                return
            self._feed_line(line)
        if len(self._buffer) > _LONGEST_REPLY or sum(map(len, self._lines)) > _LONGEST_REPLY:
            self._end(-1, "the reply is too long")

    @property
    def unfinished(self) -> Envelope | None:
        """The message whose reply comes next; None while the connection has none."""
        return self._unanswered or self._opened

    def withdraw_opened(self) -> Envelope | None:
        """Return the message that waits behind the one without a final reply, None if there is none.

        Nothing of its body was sent. Its commands were, so the connection ends at the final reply.
        """
        if self._unanswered is None or self._opened is None:
            return None
        self._ends_at_final_reply = True
        envelope, self._opened = self._opened, None
        return envelope

    def abort(self, reason: str) -> None:
        """End the exchange: the connection was lost or timed out, so no reply will come."""
        if not self.is_over:
            self._end(0, reason)

    def _feed_line(self, line: bytes) -> None:
        code, is_last, text = _parse_line(line)
        if not code:
            self._end(-1, f"not an SMTP reply: {text[:200]}")
        elif is_last and not self._lines:
            self._on_reply(code, text)
        else:
            self._lines.append(text)
            if is_last:
                reply, self._lines = " ".join(filter(None, self._lines)), []
                self._on_reply(code, reply)

    def _on_reply(self, code: int, text: str) -> None:
        if not self._awaited:
            # RFC 5321 §3.8 allows 421 at any time; any other unexpected reply ends it as well.
            self.is_over = True
            return
        awaited = self._awaited.popleft()
        if awaited is Awaited.DOT:
            self._on_final_reply(code, text)
        elif awaited is Awaited.RESET:
            self._on_reset(code, text)
        elif awaited is Awaited.DATA:
            self._on_data_reply(code, text)
        elif code // 100 != 2:
            self._refuse(code, text)
        elif awaited is Awaited.MAIL:
            self._phase = Phase.RCPT
            if not self._is_pipelined and self._opened is not None:
                self._send(_rcpt(self._opened), Awaited.RCPT)
        elif not self._is_pipelined:
            self._send(b"DATA\r\n", Awaited.DATA)

    def _on_reset(self, code: int, text: str) -> None:
        if code == 250:
            self._open_next(is_early=False)
        else:
            self._end(0, text)

    def _on_data_reply(self, code: int, text: str) -> None:
        envelope = self._opened
        if code != 354 or envelope is None:
            self._refuse(code, text)
        elif self._refusal is not None:
            # It accepts a body without a recipient (RFC 2920 §3.1), and would take the next bytes
            # for one.
            self._end(0, "354 after a refusal")
        else:
            self._opened, self._unanswered = None, envelope
            self.outgoing.append(wire_form(envelope))
            self._send(b".\r\n", Awaited.DOT)
            if self._is_pipelined:
                self._open_next(is_early=True)

    def _refuse(self, code: int, text: str) -> None:
        """Keep the first refusal; the other replies of a pipelined group still have to be read."""
        self._refusal = self._refusal or SendOutcome(self._phase, code, text)
        if code == 421:
            self._end(0, text)
        elif not {Awaited.RCPT, Awaited.DATA} & {*self._awaited}:
            self._drop_opened()

    def _drop_opened(self) -> None:
        """Report the refused message, and RSET the relay's state of it."""
        if self._opened is not None and self._refusal is not None:
            self.landed.append((self._opened, self._refusal))
        self._opened = self._refusal = None
        self._send(b"RSET\r\n", Awaited.RESET)

    def _on_final_reply(self, code: int, text: str) -> None:
        if self._unanswered is None or code // 100 not in {2, 4, 5}:
            # Such a reply does not say whether the message was taken, so it stays in doubt.
            self._end(0, f"invalid reply to the message: {code} {text}")
            return
        self.landed.append((self._unanswered, SendOutcome(Phase.REPLIED, code, text)))
        self._unanswered = None
        if code == 421 or self._ends_at_final_reply:
            self._end(0, text)
        elif self._opened is None:
            self._open_next(is_early=False)

    def _open_next(self, *, is_early: bool) -> None:
        """Open the next message with valid addresses; refuse others without sending anything."""
        while (envelope := self._next(is_early)) is not None:
            outcome = _address_error(envelope, takes_utf8=self._takes_utf8)
            if outcome is None:
                self._open(envelope)
                return
            self.landed.append((envelope, outcome))

    def _open(self, envelope: Envelope) -> None:
        self._opened, self._phase = envelope, Phase.MAIL
        if self._is_pipelined:
            self.outgoing.append(b"%b%bDATA\r\n" % (_mail(envelope), _rcpt(envelope)))
            self._awaited += (Awaited.MAIL, Awaited.RCPT, Awaited.DATA)
        else:
            self._send(_mail(envelope), Awaited.MAIL)

    def _send(self, command: bytes, awaited: Awaited) -> None:
        self.outgoing.append(command)
        self._awaited.append(awaited)

    def _end(self, code: int, reason: str) -> None:
        """End the exchange: a body that was sent is in doubt, a message only opened was not sent."""
        self.is_over = True
        if self._unanswered is not None:
            self.landed.append((self._unanswered, SendOutcome(Phase.DATA, 0, reason)))
        if self._opened is not None:
            # The code belongs to the reply that was due: the body's, where one was sent.
            own_code = 0 if self._unanswered is not None else code
            outcome = self._refusal or SendOutcome(self._phase, own_code, reason)
            self.landed.append((self._opened, outcome))
        self._opened = self._unanswered = self._refusal = None
        self._awaited.clear()


# Most replies are the same for every message.
@cached("SMTP reply lines", maxsize=256)
def _parse_line(line: bytes) -> tuple[int, bool, str]:
    """Return code, whether the line is the reply's last, and text; code 0 if it is no reply line."""
    text = line.decode("utf-8", "replace").rstrip()
    if not (line[:3].isdigit() and text[3:4] in {"", " ", "-"}):
        return 0, True, normalise_line(text)
    return int(line[:3]), text[3:4] != "-", normalise_line(text[4:])


def wire_form(envelope: Envelope) -> bytes:
    """Return the body as DATA carries it, without the final dot: lines end in CRLF, dots at line
    starts are doubled (RFC 5321 §4.5.2).
    """
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


def _address_error(envelope: Envelope, *, takes_utf8: bool) -> SendOutcome | None:
    """Return the refusal of addresses that are not valid in an SMTP command, or None."""
    if not envelope.sender.isascii() or _CONTROL.search(envelope.sender):
        return SendOutcome(Phase.MAIL, 501, "5.5.4 invalid sender address")
    if _CONTROL.search(envelope.recipient):
        return SendOutcome(Phase.RCPT, 501, "5.5.4 invalid address")
    if not envelope.recipient.isascii() and not takes_utf8:
        return SendOutcome(Phase.RCPT, 553, "5.6.7 the relay does not support SMTPUTF8")
    return None
