"""Structured logs: one JSON object a line. Never a secret, never a whole message body."""

import logging
import sys

import structlog

from core.config import get_settings


def _on_stderr(*_args: object) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


if not structlog.is_configured():
    # commands and scripts that set nothing up: standard output is for what was asked for. The usual traceback would show
    # the value of every variable, secrets among them
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
        logger_factory=_on_stderr,
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def configure(process: str) -> None:
    """Set up logging for this process; `process` names it in every line."""
    level = getattr(logging, get_settings().log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_on_stderr,
    )
    structlog.contextvars.bind_contextvars(process=process)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry `source=name`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(source=name)
    return logger
