"""What a page of documentation has its reader do, in the order of the page: files to write, commands to type, and what they show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:#|--) (?P<how>file|add to): (?P<path>\S+)\n")
SHELLS = ("sh", "bash")
ANYTHING = "..."


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that the page says to write, or text that it says to add to one."""

    path: str
    text: str
    is_added: bool


@dataclass(frozen=True, slots=True)
class PageCommand:
    """A line to type, and what the page shows of its output: `...` stands for what varies, within a line or for whole lines."""

    text: str
    shown: str = ""

    def is_shown_as(self, output: str) -> bool:
        lines = "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())
        return re.fullmatch(_pattern(self.shown), lines) is not None


def steps_of(page: str) -> Iterator[PageFile | PageCommand]:
    """Yield what a reader does, in order. A block of text right below a block of one command is its output."""
    found = list(FENCE.finditer(page))
    for place, fence in enumerate(found):
        text = textwrap.dedent(fence["text"])
        file = FILE.match(text)
        if file:
            yield PageFile(file["path"], text[file.end() :], is_added=file["how"] == "add to")
        elif fence["language"] in SHELLS:
            commands = [PageCommand(line) for line in re.sub(r"\\\n", "", text).splitlines() if line.strip() and not line.startswith("#")]
            below = found[place + 1] if place + 1 < len(found) else None
            if below and below["language"] == "text" and not page[fence.end() : below.start()].strip():
                commands[-1] = replace(commands[-1], shown=textwrap.dedent(below["text"]))
            yield from commands


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code; the language may be empty."""
    return [(fence["language"], textwrap.dedent(fence["text"])) for fence in FENCE.finditer(page)]


def commands_of(page: Path) -> list[PageCommand]:
    return [step for step in steps_of(page.read_text("utf-8")) if isinstance(step, PageCommand)]


def _pattern(shown: str) -> str:
    lines = [line.rstrip() for line in shown.rstrip().splitlines()]
    return "".join(
        r"(?:.*\n)*?" if line.strip() == ANYTHING else ".*?".join(map(re.escape, line.split(ANYTHING))) + r"\n" for line in lines
    )
