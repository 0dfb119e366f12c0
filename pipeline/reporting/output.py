"""The one way to write plain lines, documents, JSON and logs: nothing in them is obeyed by a terminal. Tables are printed by `terminal`."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import Enum

from pipeline.log_fields import fields_of
from pipeline.spelling import printable_text

# JSON escapes the control characters below 32 itself. These are the others, with what is invisible or turns the direction of a text.
_OBEYED_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_INDENT = "      "


class LogFormat(Enum):
    """How standard error is written: for people, or a JSON object per line for a program that collects logs."""

    TEXT = "text"
    JSON = "json"


_log_format: ContextVar[LogFormat] = ContextVar("log_format", default=LogFormat.TEXT)


def set_up_logs(log_format: LogFormat) -> None:
    """Write logs and messages to standard error in this format from now on: lines of ours, and warnings of others."""
    _log_format.set(log_format)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else PrintableFormatter(f"{_INDENT}%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("pipeline").setLevel(logging.INFO)
    logging.captureWarnings(log_format is LogFormat.JSON)


def is_log_in_json() -> bool:
    """Return whether standard error is written for programs."""
    return _log_format.get() is LogFormat.JSON


def write_text(text: str) -> None:
    """Write `text` to standard output, line ends included."""
    sys.stdout.write(printable_text(text))


def write_message(text: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write a line to standard error; where logs are in JSON, an object that has the fields too."""
    is_json = is_log_in_json()
    line = _json_line(datetime.now(UTC), level, "segments", text.strip(), fields) if is_json else printable_text(text)
    sys.stderr.write(f"{line}\n")


def write_json(text: str) -> None:
    r"""Write a JSON document to standard output; what a terminal would obey is escaped as `\uXXXX`, and means the same."""
    sys.stdout.write(_escaped(text) + "\n")


class PrintableFormatter(logging.Formatter):
    """Formats log records so that nothing in them is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`."""
        # After formatting, so that what arguments and tracebacks bring in is made harmless too.
        return printable_text(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formats log records as JSON objects: time, level, logger, event, and the fields of the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`."""
        fields = fields_of(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return _json_line(datetime.fromtimestamp(record.created, UTC), record.levelno, record.name, record.getMessage(), fields)


def _json_line(at: datetime, level: int, logger: str, event: str, fields: Mapping[str, object]) -> str:
    always = {"time": at.isoformat(timespec="milliseconds"), "level": logging.getLevelName(level).lower(), "logger": logger, "event": event}
    # First, and not to be hidden by a field of the same name.
    return _escaped(json.dumps({**always, **fields, **always}, default=str))


def _escaped(text: str) -> str:
    return _OBEYED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
