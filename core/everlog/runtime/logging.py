"""Structured logs: one JSON object a line on stderr, or coloured lines on a terminal. Never content or secrets."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Final

import orjson
import structlog

CHATTY: Final = ("faust", "mode", "aiokafka", "botocore", "urllib3")
"""Libraries that tell every step at level INFO; their warnings stay."""

OWN_EXTRAS: Final = ("trace_id",)
"""What our own lines by the standard library carry beside their message."""

_facts: dict[str, str | int] = {}


def always(**facts: str | int) -> None:
    """Say these facts of the process in every line from now on, whichever thread writes it."""
    _facts.update(facts)


def _add_facts(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {**_facts, **event}


def configure(service: str, *, level: str = "INFO", for_people: bool | None = None) -> None:
    """Send every log of this process, the libraries' included, to stderr in one form.

    ``for_people`` writes lines instead of JSON; None means where stderr is a terminal.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_facts,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor
    on_terminal = sys.stderr.isatty()
    if on_terminal if for_people is None else for_people:
        renderer = structlog.dev.ConsoleRenderer(colors=on_terminal and "NO_COLOR" not in os.environ)
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, str).decode())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(OWN_EXTRAS), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:  # on the command line our own error says it all
        logging.getLogger(name).setLevel(logging.CRITICAL if for_people else logging.WARNING)
    _facts.clear()
    always(service=service)
