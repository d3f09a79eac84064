"""What a server logs: JSON lines on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor


def log_as_json(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Logs as JSON lines, with fixed keys; what libraries have to say is no other."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    lines = structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(stream)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, lines])
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # A request that is tried again is nothing that anybody must do something about.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, lines],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
