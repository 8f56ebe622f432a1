"""Where the service's log lines go: to standard error, and to a bounded file for support bundles.

On standard error they are readable on a terminal, else JSON; in the file they are always JSON.
"""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from overwinter.model.errors import RequestError

#: Then the file becomes the old one, of which there is one.
MOST_BYTES = 8 << 20

_with_traceback = structlog.processors.format_exc_info
_as_json = structlog.processors.JSONRenderer()


def log_to(file: Path) -> None:
    """Log to standard error and to a file, which gets the mode that the umask leaves. Raises RequestError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = _Copy(RotatingFileHandler(file, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"The log {file} cannot be written: {error.strerror}.") from error
    is_terminal = sys.stderr.isatty()
    renderers: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if is_terminal
        else [_with_traceback, _as_json]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            copy,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger().addHandler(_FromLibraries(logging.WARNING))


class _Copy:
    """A processor that writes each line to the file as well. A file that cannot be written stops nothing."""

    def __init__(self, handler: RotatingFileHandler) -> None:
        self._handler = handler

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        line = _as_json(logger, method, _with_traceback(logger, method, dict(event)))
        self._handler.handle(logging.makeLogRecord({"msg": line}))
        return event


class _FromLibraries(logging.Handler):
    """Lets what libraries log by Python's own means go the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one message on."""
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)
