"""What holds a lake: whole objects by their addresses, and the few ways in which they change.

Whatever changes in a lake changes through this interface, so that an object store can take the place of the local disk: links,
renames and locks of files are private to `LocalStore`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pipeline.lake.byte_sources import ByteSource
from pipeline.lake.checksums import SealedFile


class Store(Protocol):
    """Holds objects by address.

    Methods that change an object raise TransientError where the store refuses, except `install_folder`, `swap_pointer`,
    `remove_pointer` and `remove_folders`: these raise OSError, so that callers can say what could not be done. Methods that read an
    object raise FileNotFoundError where there is none.
    """

    def read(self, address: str) -> bytes:
        """Return what is at `address`; raises FileNotFoundError where nothing is."""

    def write(self, address: str, content: bytes) -> None:
        """Write `content` at `address`, whole or not at all; writing the same bytes again changes nothing."""

    def create_secret(self, address: str, content: bytes) -> bool:
        """Write `content` at `address`, readable by its owner alone; where something is there, leave it and return False."""

    def append(self, address: str, line: bytes) -> None:
        """Add `line` to what is at `address`; for one writer at a time. An interrupted one may leave a part of the line."""

    def exists(self, address: str) -> bool:
        """Return whether something is at `address`."""

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        """Return the addresses that begin with `prefix` and end with `suffix`, in order."""

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of folders directly below `prefix`, which ends in `/`, in order."""

    def folder_sizes(self) -> dict[str, int]:
        """Return the number of bytes in each top folder, by its name."""

    def free_bytes(self) -> int | None:
        """Return how many bytes may still be written; None where nothing but a bill limits them."""

    def delete(self, address: str) -> None:
        """Remove what is at `address`, if anything."""

    def delete_all(self, prefix: str) -> None:
        """Remove everything below `prefix`, which ends in `/`, one after the other."""

    def move(self, address: str, new: str) -> None:
        """Move what is at `address` to `new`, where nothing is; at no time is it in neither place."""

    def link_or_copy(self, address: str, new: str) -> None:
        """Make what is at `address` appear at `new` too, where nothing is; it stays there whatever happens to `address`."""

    def stage(self, address: str) -> AbstractContextManager[Path]:
        """Yield a private path; the file written there appears at `address`, whole, once the block ends well.

        The same bytes as are there already leave `address` as it is.
        """

    def transaction(self, name: str) -> AbstractContextManager[Path]:
        """Yield a private folder in which files are written at their addresses; all appear once the block ends well, or none does.

        What an interrupted one left to do is done first. The caller holds a lock that keeps other writers of `name` off.
        """

    def finish_transaction(self, name: str) -> None:
        """Do what an interrupted transaction left to do, if anything: it had all that is to appear."""

    def put_file(self, path: Path, address: str) -> None:
        """Write the content of a private file at `address`, whole or not at all; the file itself stays."""

    def link_to(self, address: str, path: Path) -> None:
        """Make `path` a new private file with what is at `address`; it stays whatever happens to `address`."""

    def download(self, address: str, path: Path) -> None:
        """Write what is at `address`, whatever this process knew of it before, into the new private file `path`, piece by piece.

        Raises FileNotFoundError where nothing is, OSError where the disk refuses.
        """

    def size(self, address: str) -> int:
        """Return the number of bytes at `address`; raises FileNotFoundError where nothing is."""

    def written_at(self, address: str) -> int:
        """Return when `address` was last written, in nanoseconds since 1970; 0 where nothing is there."""

    def install_folder(self, prefix: str, folder: Path, manifest: str) -> None:
        """Move the files of a private folder, and then `manifest`, which lists them, below `prefix`: all appear or none.

        What is there already is overwritten with the same bytes, so that damage heals. All of it is durable afterwards.
        """

    def remove_folders(self, prefixes: Iterable[str]) -> None:
        """Remove all that is below each of `prefixes`; no reader sees a part of one."""

    def read_pointer(self, address: str) -> str | None:
        """Return the prefix that the pointer at `address` leads to; None where there is no pointer.

        In a copy of a lake the pointer may have been replaced by what it led to; then it leads to itself.
        """

    def swap_pointer(self, address: str, prefix: str, *, expected: str | None) -> bool:
        """Point `address` to `prefix`, durably; where it leads to another prefix than `expected`, leave it and return False."""

    def remove_pointer(self, address: str) -> None:
        """Let the pointer at `address` lead nowhere, durably; one that is not there is no error."""

    def where(self, address: str = "") -> str:
        """Return the place of `address`, as messages name it."""

    def uri(self, address: str = "") -> str:
        """Return the URI of what is at `address`, by which programs on other machines find it where they reach the store."""

    def local(self, address: str) -> Path:
        """Return a path on this machine for what is at `address`, for other programs to read; never to be written to.

        Where nothing is there, this may raise FileNotFoundError, or return a path where nothing is.
        """

    def edit(self, address: str) -> AbstractContextManager[Path]:
        """Yield a path on this machine for a program that changes what is at `address` in its own way, such as a database.

        What is there after the block, however it ends, is what is stored. An `address` that ends in `/` stands for all files below it.
        The caller holds a lock that keeps other writers off. Raises TransientError where another has written it nevertheless.
        """

    def open_bytes(self, address: str) -> AbstractContextManager[ByteSource]:
        """Yield the bytes of what is at `address`, of which only those that are asked for are read; raises FileNotFoundError.

        It is what is there now, whatever this process knew of it before.
        """

    def sealed(self, address: str) -> SealedFile:
        """Return the Parquet file of ours at `address`, of which only the end is read; raises FileNotFoundError where nothing is."""

    def fetch_seals(self, addresses: Sequence[str]) -> None:
        """Read the seals of the files at `addresses` at once, so that `sealed` has them at hand; what is not there is passed over."""

    def fetch(self, addresses: Sequence[str]) -> None:
        """Bring what is at `addresses` to this machine at once, as `local` does one by one; what is not there is passed over."""

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder on this machine for this process alone, gone afterwards; raises OSError where the disk refuses."""

    def lock(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> AbstractContextManager[None]:
        """Hold the named lock for the time of the block; raises LockTimeout where another run keeps it."""

    def lock_names(self) -> list[str]:
        """Return the names of all locks that were ever held, in order."""

    def flush(self) -> None:
        """Wait until all that was written is durable."""

    def keeps_versions(self) -> bool:
        """Return whether old versions of objects stay, so that what was removed is still there."""
