"""The real web site on a free loopback port, served by uvicorn in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from support.smtp.smtp_sink import wait_until


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Yield the site's address without a closing slash; the port is ours before uvicorn starts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # By default uvicorn takes a visitor's address from X-Forwarded-For if the peer is loopback.
        config = uvicorn.Config(
            app,
            log_level="error",
            ws="none",
            timeout_graceful_shutdown=2,
            access_log=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
