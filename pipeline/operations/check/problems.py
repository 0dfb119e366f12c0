"""Problems: what is wrong, on which line of which file, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.definitions.definition_files import read_definition
from pipeline.definitions.toml_lines import setting_line
from pipeline.errors import ConfigError, PipelineError

# Where errors stand: `file`, `file:12` or `file:12, column 5 of the rule`.
_PLACE = re.compile(r"(?P<file>[^\n]*?)(:(?P<line>[0-9]+))?(?P<within>, [^\n]*)?")
_NAMED = re.compile(r"`([^`\n]+)`")
_END = "at end of document"  # as the reader of TOML calls it
_TOLD_LINE = re.compile(r"\bline ([0-9]+)\b")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong; `line` counts from 1, and is 0 where there is no text to point at. `exit_code` says of which kind it is."""

    file: str
    line: int
    what: str
    remedy: str
    kind: str
    exit_code: int


@dataclass
class ProblemList:
    """The problems found so far, each once, whichever readers came upon it; `left_out` are parts that go by one that is wrong."""

    folder: Path
    left_out: list[str] = field(default_factory=list)
    _found: dict[Problem, None] = field(default_factory=dict)

    def add(self, error: PipelineError) -> None:
        """Add what an error says, and what others of its file say."""
        for each in (error, *error.others):
            for problem in self._problems_of(each):
                self._found.setdefault(problem)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add the error that ends the block, if one does."""
        try:
            yield
        except PipelineError as error:
            self.add(error)

    def leave_out(self, file: Path) -> None:
        """Note that a file cannot be judged before others are mended."""
        self.left_out.append(self.path_words(file))

    def path_words(self, path: Path) -> str:
        """Return a path as people write it: below the folder as it was given, else from the working folder on."""
        with suppress(OSError):
            for root, given in ((self.folder.resolve(), self.folder), (Path.cwd(), Path())):
                if path.is_absolute() and path.is_relative_to(root):
                    return str(given / path.relative_to(root))
        return str(path)

    @property
    def problems(self) -> list[Problem]:
        """All problems, by file and line."""
        return sorted(self._found)

    def _problems_of(self, error: PipelineError) -> Iterator[Problem]:
        place = _PLACE.fullmatch(error.where)
        file, within = (Path(place["file"]), place["within"] or "") if place else (Path(error.where), "")
        # A rule's message shows the rule, and marks a letter below it: here its column says where.
        lines = error.what.splitlines()
        what = lines[0] if isinstance(error, ConfigError) and error.place else "; ".join(lines)
        line = int(place["line"]) if place and place["line"] else _line_in(file, error.setting, what)
        said = f"{what} ({within.removeprefix(', ')})" if within else what
        yield Problem(self.path_words(file) if error.where else "", line, said, error.todo, type(error).__name__, error.exit_code)


def _line_in(file: Path, setting: str, what: str) -> int:
    """Return the line of a setting, else the one that the message tells, else that of the first name that it quotes, else the first one.

    0 where the file is no text.
    """
    try:
        text = read_definition(file).text if file.is_file() else ""
    except PipelineError:
        text = ""
    if setting and file.suffix == ".toml" and (line := setting_line(text, setting)):
        return line
    if told := _TOLD_LINE.search(what):
        return int(told[1])
    if _END in what:
        return len(text.splitlines())
    places = (line_of_word(text, name.rpartition(".")[2] or name) for name in _NAMED.findall(what))
    return next(filter(None, places), 1 if text else 0)


def line_of_word(text: str, word: str) -> int:
    """Return the first line of a text that has the word, 0 where none has."""
    named = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    return next((number for number, line in enumerate(text.splitlines(), 1) if named.search(line)), 0)
