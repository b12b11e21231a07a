"""What the sink took, read from its log while it grows; and what is wrong with a morning's end."""

import re
from collections.abc import Mapping
from pathlib import Path

_RECIPIENT = re.compile(rb"RCPT TO:<([^>]*)>")
# After the final dot, before the 250.
_TAKEN = re.compile(rb"smtp-sink: \.$")


class Taken:
    """The messages that a sink took so far, and the addresses that it was given."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self.messages = 0
        self.recipients: set[bytes] = set()

    def look(self) -> int:
        """Read what the sink has written since the last look; return how many messages it has."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            # The last line may not be complete yet.
            *lines, rest = log.read().split(b"\n")
            self._read = log.tell() - len(rest)
        for line in lines:
            if _TAKEN.search(line):
                self.messages += 1
            elif found := _RECIPIENT.search(line):
                self.recipients.add(found[1])
        return self.messages


def find_faults(states: Mapping[str, int], taken: Taken, subscribers: int, sent: int) -> list[str]:
    """Return what is wrong where `sent` of the digests of so many subscribers were to be sent.

    `states` are the digests by state and, of those sent, the code of the reply. A message that was begun
    when its sender ended has an address and no text, where not all were to be sent.
    """
    faults = []
    is_whole = sent == subscribers
    good = {"sent 250"} if is_whole else {"sent 250", "queued"}
    if states.keys() - good:
        faults.append(f"not every digest is sent: {dict(states)}")
    if sum(states.values()) != subscribers:
        faults.append(f"{sum(states.values()):,} digests for {subscribers:,} subscribers")
    if states.get("sent 250", 0) < sent:
        faults.append(f"{states.get('sent 250', 0):,} of {sent:,} digests were sent")
    if taken.messages != states.get("sent 250", 0):
        faults.append(f"the sink took {taken.messages:,} messages, and not as many as were sent")
    begun = len(taken.recipients) - taken.messages
    if begun < 0 or (is_whole and begun):
        faults.append(f"{taken.messages:,} messages to {len(taken.recipients):,} addresses")
    return faults
