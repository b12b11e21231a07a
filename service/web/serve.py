"""`python -m service.web.serve`: serve the site by uvicorn, with deadlines for slow clients.

With several processes this one holds the address, starts them, and starts again any that dies.
"""

import argparse
import resource

import uvicorn

from service.platform import logs
from service.web.core.slow_clients import DeadlineProtocol
from service.web.settings import load_web_settings

FACTORY = "service.web.asgi:app_from_environment"
# So long may requests run on when the server ends.
_GRACE_SECONDS = 5
# A process that does not answer this one for so long is killed; a busy machine makes it wait.
HUNG_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m service.web.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # Here too, since a process that ends for a wrong setting would be started again and again.
    settings = load_web_settings()
    logs.configure_service(settings.log_level, settings.log_file)
    # Slow clients hold a file each until they are cut, and many systems begin with 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvicorn.run(
        FACTORY,
        factory=True,
        host=options.host,
        port=options.port,
        workers=settings.web_processes,
        timeout_worker_healthcheck=HUNG_SECONDS,
        http=DeadlineProtocol,
        ws="none",
        # By default uvicorn takes a visitor's address from anybody on this machine; our setting decides.
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
