"""`python -m app.gateway`: uvicorn with our deadlines, on OPS_BIND_HOST and OPS_GATEWAY_PORT."""

import logging
import resource
import sys

import uvicorn

from app.gateway.app import create_app
from app.gateway.protocol import GuardedProtocol
from core.config import get_settings
from core.kit import log

OPEN_FILES = 8192


def _allow_many_connections() -> None:
    """A slow client holds a file descriptor until its deadline: the usual 1,024 would be few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _OneLine(logging.Handler):
    """uvicorn's own lines in our log's form."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = log.get("uvicorn")
        write = logger.error if record.levelno >= logging.ERROR else logger.warning
        if record.levelno < logging.WARNING:
            write = logger.info
        write(record.getMessage().strip(), **({"exc_info": record.exc_info} if record.exc_info else {}))


def main() -> None:
    """Serve until told to stop."""
    settings = get_settings()
    log.configure("gateway")
    _allow_many_connections()
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = ([_OneLine()] if name == "uvicorn" else []), name != "uvicorn"
        logger.setLevel(logging.INFO)
    config = uvicorn.Config(
        create_app(),
        host=settings.bind_host,
        port=settings.gateway_port,
        http=GuardedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=2048,
        limit_concurrency=4096,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    server.run()
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    main()
