"""Which task of a cluster reads what: small files whole, several in a task; a large one in pieces, each some of its row groups."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.lake.checksums import Seal, read_seal

# A task for less is not worth starting: bytes of small files, or of a large one these or row groups, of about a million rows.
TASK_BYTES, TASK_GROUPS = 8 << 20, 8
LARGE_TASK_BYTES = 256 << 20
# The end of a smaller file is not looked at: a lake has many of them. Rows of memberships take two or three bytes each.
LARGE_FILE_BYTES = 2 << 20
AddressedFile = tuple[Path, str | None]


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A file, or the row groups of it that one task reads.

    `path` is where the process that runs the night reads it, `address` where executors do, if it has one. With `groups` comes the
    `digest` of the file that has them.
    """

    path: Path
    address: str | None
    groups: range | None = None
    digest: str = ""


Pieces = Sequence[FilePiece]


def plan_reading_tasks(files: Sequence[AddressedFile], most_tasks: int) -> list[Pieces]:
    """Return `files` in tasks of about the same size: at most `most_tasks` for small files, and about as many for large ones.

    There are more where these would be very large.
    """
    sizes = {file: file[0].stat().st_size for file in files}
    share = max(-(-sum(sizes.values()) // most_tasks), LARGE_FILE_BYTES)
    pieces = {file: list(_pieces_of(file, size, -(-size // share))) for file, size in sizes.items() if size > share}
    whole = {file: size for file, size in sizes.items() if not pieces.get(file)}
    return _tasks_of_whole_files(whole, most_tasks) + [(piece,) for file in files for piece in pieces.get(file, ())]


def _pieces_of(file: AddressedFile, size: int, most_pieces: int) -> Iterator[FilePiece]:
    """Yield a large file in pieces; none where it is to be read whole."""
    path, address = file
    seal: Seal | None = None
    with suppress(ValueError):  # whoever reads it says that it is damaged
        seal = read_seal(path)
    if seal is None or not seal.chunk_checksums:
        return
    count = min(most_pieces, max(-(-size // TASK_BYTES), -(-seal.group_count // TASK_GROUPS)))
    count = min(seal.group_count, max(count, -(-size // LARGE_TASK_BYTES)))
    if count > 1:
        cuts = [seal.group_count * number // count for number in range(count + 1)]
        for start, stop in pairwise(cuts):
            yield FilePiece(path, address, range(start, stop), seal.digest)


def _tasks_of_whole_files(sizes: dict[AddressedFile, int], most_tasks: int) -> list[Pieces]:
    total = sum(sizes.values())
    count = min(len(sizes), max(1, min(most_tasks, -(-total // TASK_BYTES)), -(-total // LARGE_TASK_BYTES)))
    tasks: list[tuple[int, int, list[FilePiece]]] = [(0, number, []) for number in range(count)]
    for file in sorted(sizes, key=lambda each: (-sizes[each], each[0])):
        size, number, held = heapq.heappop(tasks)
        heapq.heappush(tasks, (size + sizes[file], number, [*held, FilePiece(*file)]))
    return [tuple(held) for _, _, held in sorted(tasks, key=lambda task: task[1])]
