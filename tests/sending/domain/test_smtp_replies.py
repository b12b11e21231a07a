"""The classification of a relay's replies."""

import pytest

from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.sending.domain.smtp_replies import ReplyKind, classify_reply

S, K = DeliveryState, ReplyKind


@pytest.mark.parametrize(
    ("phase", "code", "text", "kind"),
    [
        (Phase.REPLIED, 250, "2.0.0 queued as 4F", K.ACCEPTED),
        (Phase.DATA, 0, "lost", K.UNANSWERED),
        (Phase.REPLIED, 0, "", K.UNANSWERED),
        (Phase.CONNECT, 0, "refused", K.RELAY),
        (Phase.CONNECT, 535, "5.7.8 wrong password", K.RELAY),
        (Phase.MAIL, 0, "lost", K.RELAY),
        (Phase.MAIL, 450, "4.7.1 too much mail from you", K.RELAY),
        (Phase.MAIL, 550, "5.7.1 sender refused", K.RELAY),
        (Phase.MAIL, 552, "5.3.4 message too big", K.REFUSED),
        (Phase.MAIL, 501, "5.5.4 invalid sender address", K.REFUSED),
        (Phase.MAIL, 452, "4.3.4 message too big for now", K.RELAY),
        (Phase.RCPT, 0, "lost", K.PUT_OFF),
        (Phase.RCPT, 450, "4.7.1 <a@b>: Recipient address rejected: Greylisted", K.GREYLISTED),
        (Phase.RCPT, 451, "Graylisting in action, please come back in 5 minutes", K.GREYLISTED),
        (Phase.RCPT, 451, "4.7.1 later", K.GREYLISTED),
        (Phase.REPLIED, 421, "4.7.0 greylist", K.GREYLISTED),
        (Phase.RCPT, 452, "4.2.2 mailbox full", K.FULL),
        (Phase.RCPT, 421, "4.7.28 unusual rate of unsolicited mail", K.THROTTLED),
        (Phase.REPLIED, 421, "4.7.0 [TSS04] Messages temporarily deferred", K.THROTTLED),
        (Phase.RCPT, 421, "later", K.THROTTLED),
        (Phase.RCPT, 421, "4.3.2 shutting down", K.PUT_OFF),
        (Phase.REPLIED, 421, "4.4.2 timeout", K.PUT_OFF),
        (Phase.RCPT, 451, "4.7.650 temporarily rate limited due to IP reputation", K.THROTTLED),
        (Phase.RCPT, 450, "4.2.1 is receiving mail too quickly", K.THROTTLED),
        (Phase.RCPT, 451, "4.7.500 Server busy", K.THROTTLED),
        (Phase.RCPT, 451, "4.3.0 local error", K.PUT_OFF),
        (Phase.REPLIED, 300, "what", K.PUT_OFF),
        (Phase.RCPT, 250, "that is no answer to a message", K.PUT_OFF),
        (Phase.REPLIED, 550, "5.7.26 unauthenticated", K.POLICY),
        (Phase.RCPT, 550, "5.7.515 Access denied", K.POLICY),
        (Phase.RCPT, 550, "5.7.1 blocked", K.POLICY),
        (Phase.RCPT, 550, "5.1.1 no such user", K.REFUSED),
        (Phase.RCPT, 550, "5.7.1 no such user here", K.REFUSED),
        (Phase.REPLIED, 552, "5.2.2 over quota", K.REFUSED),
    ],
)
def test_an_outcome_is_about(phase: Phase, code: int, text: str, kind: ReplyKind) -> None:
    assert classify_reply(SendOutcome(phase, code, text)) is kind
