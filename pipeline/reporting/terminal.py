"""The one way to print tables and styled text: whatever data or definitions hold is shown, and never obeyed.

A country called `Korea [/South]` is no markup, `:smile:` no picture, and an escape sequence in a name moves no cursor.
Plain lines and JSON are written by `output`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pipeline.spelling import printable_text


class Terminal(Console):
    """A console that takes no markup from what it prints, and replaces what a terminal would obey."""

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, **options: Any) -> None:  # noqa: ANN401
        super().__init__(file=file, stderr=stderr, highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Return `text` as it may be shown; measured as such, so that columns stay in line."""
        return super().render_str(printable_text(text), **{**options, "markup": False, "emoji": False, "highlight": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of what is printed; only those that the library itself makes may control the terminal."""
        # Here everything passes, whatever part of the library made it: titles, cells and wrapped lines alike.
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable_text(piece.text), piece.style)


def print_parts(parts: Iterable[RenderableType]) -> None:
    """Print the parts, one below the other."""
    terminal = Terminal()
    for part in parts:
        terminal.print(part)
