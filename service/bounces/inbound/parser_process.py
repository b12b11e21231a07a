"""The child process that parses mails: `python -m service.bounces.inbound.parser_process`.

It reads mails from standard input and writes results to standard output, each as four bytes of
length and the content. It ends when its parent does, since its input ends then. It has no settings, no
secret and no database, and a limit for each of processor time, memory and files.
"""

import json
import resource
import signal
import sys
from dataclasses import asdict
from typing import BinaryIO

from service.bounces.inbound.mime_parts import NotReadable
from service.bounces.inbound.parse import parse_bounce

# Of processor time, for one mail; an ordinary one needs a few milliseconds.
CPU_SECONDS = 2.0
MEMORY_BYTES = 512 * 1024 * 1024


def main() -> None:
    """Answer one mail after another until the input ends."""
    # The parent decides when this process ends; a terminal's Ctrl-C reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    write_frame(sys.stdout.buffer, b"ready")
    while raw := read_frame(sys.stdin.buffer):
        # SIGPROF ends the process wherever it is, in a C library as well.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        result = answer(raw)
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_frame(sys.stdout.buffer, result)


def answer(raw: bytes) -> bytes:
    """Return a mail's values as JSON, or `{"fault": …}` with the reason why there are none."""
    try:
        value = asdict(parse_bounce(raw))
    except NotReadable as error:
        value = {"fault": str(error)}
    except MemoryError:
        value = {"fault": f"it needs more than {MEMORY_BYTES // 1024**2} MiB of memory"}
    except Exception as error:  # noqa: BLE001 - third-party parsers on hostile text: any of them
        value = {"fault": f"its parser failed with {type(error).__name__}"}
    # Lone surrogates, which some charsets make, are no JSON.
    return json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")


def write_frame(out: BinaryIO, content: bytes) -> None:
    """Write a content after its length."""
    out.write(len(content).to_bytes(4, "big") + content)
    out.flush()


def read_frame(source: BinaryIO) -> bytes:
    """Return the next content; empty where the input has ended, in the middle of one as well."""
    size = int.from_bytes(source.read(4), "big")
    content = source.read(size)
    return content if len(content) == size else b""


if __name__ == "__main__":
    main()
