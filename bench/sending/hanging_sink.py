"""A sink of `hanging.py` that holds back its reply to some messages until it is told to release them.

    python bench/sending/hanging_sink.py

It prints its port, then reads orders, one JSON object a line: `{"hang": [numbers]}` names the readers
whose messages hang from now on and forgets all others, `{"release": true}` answers those. To each it
prints how many messages it took since the last `hang`, and of how many readers.
"""

import asyncio
import json
import re
import sys

_NUMBER = re.compile(rb"reader(\d+)@")


class Sink:
    """What the sink took, by reader, and what it holds back."""

    def __init__(self) -> None:
        self.hang(set())

    def hang(self, numbers: set[int]) -> None:
        self.numbers = numbers
        self.released = asyncio.Event()
        self.takings: list[int] = []

    async def serve(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold one conversation; commands that came together are answered in order."""
        writer.write(b"220 sink\r\n")
        number = 0
        while line := await stream.readline():
            verb = line[:4].upper()
            reply = b"250 ok\r\n"
            if verb == b"EHLO":
                reply = b"250-sink\r\n250 PIPELINING\r\n"
            elif verb == b"RCPT":
                found = _NUMBER.search(line)
                number = int(found[1]) if found else 0
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await stream.readuntil(b"\r\n.\r\n")
                self.takings.append(number)
                if number in self.numbers:
                    await self.released.wait()
            elif verb == b"QUIT":
                reply = b"221 bye\r\n"
            writer.write(reply)
        writer.close()


async def main() -> None:
    sink = Sink()

    async def serve(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await sink.serve(stream, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # The sender closed the connection in the middle.

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        orders = json.loads(line)
        taken = {"messages": len(sink.takings), "readers": len(set(sink.takings))}
        if "hang" in orders:
            sink.hang(set(orders["hang"]))
        else:
            sink.released.set()
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
