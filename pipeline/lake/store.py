"""What holds a lake: whole objects by their addresses, and the few ways in which they change.

Nobody changes anything in a lake but through this interface, so that something else than a local disk may hold it: links,
renames and locks of files are `LocalStore`'s own affair.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Holds objects by address.

    What changes an object raises TransientError where the store refuses; `install`, `swap` and `remove_folders` raise OSError, for
    their caller to say what could not be done. What asks for one raises FileNotFoundError where there is none.
    """

    def read(self, address: str) -> bytes:
        """Return what is at `address`."""

    def write(self, address: str, content: bytes) -> None:
        """Put `content` at `address`, whole or not at all; the same bytes again leave what is there as it is."""

    def create_secret(self, address: str, content: bytes) -> bool:
        """Put `content` at `address` for its owner's eyes alone; return False, and leave what is there, where there is something."""

    def append(self, address: str, line: bytes) -> None:
        """Add `line` to what is at `address`, for one writer at a time; an interrupted one may leave part of it."""

    def exists(self, address: str) -> bool:
        """Return whether something is at `address`."""

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        """Return the addresses that begin with `prefix` and end with `suffix`, in order."""

    def list_folders(self, prefix: str) -> list[str]:
        """Return the parts that follow `prefix`, which ends in `/`, in addresses that have more parts after them, in order."""

    def sizes(self) -> dict[str, int]:
        """Return bytes by the first part of addresses that have several."""

    def delete(self, address: str) -> None:
        """Remove what is at `address`, if anything."""

    def delete_all(self, prefix: str) -> None:
        """Remove everything below `prefix`, which ends in `/`, one after the other."""

    def move(self, address: str, new: str) -> None:
        """Put what is at `address` at `new`, where nothing is; at no time it is in neither place."""

    def link_or_copy(self, address: str, new: str) -> None:
        """Let what is at `address` be at `new` too, where nothing is, whatever becomes of the former."""

    def put_file(self, path: Path, address: str) -> None:
        """Put what a private file holds at `address`, whole or not at all, in the place of what is there; the file stays."""

    def link_to(self, address: str, path: Path) -> None:
        """Let a new private file at `path` hold what is at `address`, whatever becomes of the latter."""

    def written_at(self, address: str) -> int:
        """Return when what is at `address` was written last, in nanoseconds since 1970; 0 where nothing is."""

    def install(self, prefix: str, folder: Path, manifest: str) -> None:
        """Put the files of a private folder below `prefix`, and `manifest`, which tells of them, last: all appear or none.

        On what is there already the same bytes are laid, so that damage heals. All of it is durable afterwards.
        """

    def remove_folders(self, prefixes: Iterable[str]) -> None:
        """Remove what is below each of `prefixes`; each goes whole for whoever reads it."""

    def pointer(self, address: str) -> str | None:
        """Return the prefix that the pointer at `address` leads to, None where there is no pointer.

        A copy of a lake may have what it led to in its place: then it leads to itself.
        """

    def swap(self, address: str, prefix: str, *, expected: str | None) -> bool:
        """Let the pointer at `address` lead to `prefix`, durably; return False where it does not lead to `expected` any more."""

    def where(self, address: str = "") -> str:
        """Return for people where `address` is."""

    def local(self, address: str) -> Path:
        """Return a path on this machine of what is at `address`, to be read by other programs, and never to be written to."""

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder on this machine for this process alone, gone afterwards; raises OSError where the disk refuses."""

    def lock(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> AbstractContextManager[None]:
        """Hold the named lock for the time of the block; raises LockTimeout where another run keeps it."""

    def lock_names(self) -> list[str]:
        """Return the names of all locks that were ever held, in order."""

    def flush(self) -> None:
        """Wait until all that was written is durable."""
