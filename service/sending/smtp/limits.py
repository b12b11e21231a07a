"""SMTP timeouts, and limits on how long a connection is reused."""

from dataclasses import dataclass

from service.sending.domain.relay_health import REST_SECONDS


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """The timeouts of RFC 5321 §4.5.3.2, and limits of our own."""

    command_seconds: float = 300.0
    data_seconds: float = 120.0
    block_seconds: float = 180.0
    final_dot_seconds: float = 600.0
    # A message without a reply for `hanging_seconds` hangs; so does one whose relay gave ten replies
    # per connection to later messages meanwhile (decision 0018). A relay at which more than
    # `most_hanging` messages of this process hang gets no others.
    hanging_seconds: float = 4.0
    overtaken_times: int = 10
    most_hanging: int = 100
    # A connection is replaced after this many messages. One that was idle for `check_seconds` must
    # answer a RSET before its next message; one that was idle for `idle_seconds` is closed.
    messages_per_connection: int = 500
    check_seconds: float = 5.0
    idle_seconds: float = 30.0
    # The back-off after a relay's first, second … failure.
    rest_seconds: tuple[float, ...] = REST_SECONDS


SMTP_LIMITS = SmtpLimits()
