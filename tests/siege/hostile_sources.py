"""Sources that want to stop us: they drip, they bomb, they never end. Prints its port."""

import asyncio
import gzip
import sys
import zlib

ZEROS = b"0" * 1_000_000


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        kind = line.strip("/").split("/")[0].split("?")[0]
        await KINDS.get(kind, drip)(writer)
    except (OSError, asyncio.IncompleteReadError):
        pass  # They hung up, which is all that one can ask of them.
    finally:
        writer.close()


def head(*more: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", "Content-Type: application/rss+xml", "Connection: close", *more)
    return "\r\n".join([*lines, "", ""]).encode()


async def drip(writer: asyncio.StreamWriter) -> None:
    """One byte a second, for ever, beginning with the headers."""
    for byte in head("X-Padding: " + "x" * 100_000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def bomb(writer: asyncio.StreamWriter) -> None:
    """A gigabyte of zeros, in a megabyte."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    writer.write(head("Content-Encoding: gzip"))
    for _ in range(1000):
        writer.write(squeezed.compress(ZEROS))
        await writer.drain()
    writer.write(squeezed.flush())
    await writer.drain()


async def tags(writer: asyncio.StreamWriter) -> None:
    """A feed of a million categories."""
    item = "<item><title>t</title><link>https://journal.example/1</link>"
    body = f"<rss><channel>{item}{'<category>c</category>' * 1_000_000}</item></channel></rss>"
    writer.write(head("Content-Encoding: gzip") + gzip.compress(body.encode()))
    await writer.drain()


async def endless(writer: asyncio.StreamWriter) -> None:
    """A feed without an end, as fast as it is read."""
    writer.write(head() + b"<rss><channel>")
    while True:
        writer.write(b"<item><title>one more</title></item>" * 1000)
        await writer.drain()


KINDS = {"drip": drip, "bomb": bomb, "tags": tags, "endless": endless}


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
