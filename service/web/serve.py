"""`python -m service.web.serve`: serve the site by uvicorn, with deadlines for slow clients."""

import argparse
import resource

import uvicorn

from service.web.core.slow_clients import DeadlineProtocol

FACTORY = "service.web.asgi:app_from_environment"
# So long may requests run on when the server ends.
_GRACE_SECONDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m service.web.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # Slow clients hold a file each until they are cut, and many systems begin with 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvicorn.run(
        FACTORY,
        factory=True,
        host=options.host,
        port=options.port,
        http=DeadlineProtocol,
        ws="none",
        # By default uvicorn takes a visitor's address from anybody on this machine; our setting decides.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
