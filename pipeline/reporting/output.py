"""The one way to write plain lines, documents and JSON: nothing in them is obeyed by a terminal. Tables are printed by `terminal`."""

from __future__ import annotations

import logging
import re
import sys

from pipeline.spelling import printable_text

# JSON escapes the control characters below 32 itself. These are the others, with what is invisible or turns the direction of a text.
_OBEYED_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def write_text(text: str) -> None:
    """Write `text` to standard output, line ends included."""
    sys.stdout.write(printable_text(text))


def write_message(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{printable_text(text)}\n")


def write_json(text: str) -> None:
    r"""Write a JSON document to standard output; what a terminal would obey is escaped as `\uXXXX`, and means the same."""
    sys.stdout.write(_OBEYED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


class PrintableFormatter(logging.Formatter):
    """Formats log records so that nothing in them is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of `record`."""
        # After formatting, so that what arguments and tracebacks bring in is made harmless too.
        return printable_text(super().format(record))
