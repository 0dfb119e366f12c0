"""A tar file with files of a lake: written and read in one pass, so that it may come from a pipe and go to one.

Same files, same bytes: nothing in it says when or by whom it was made.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.errors import ConfigError, DataError
from pipeline.lake.disk import disk_errors

CHUNK_BYTES = 1 << 20
OWNER_ONLY, EVERYBODY = 0o600, 0o644


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file in an archive: its number of bytes, and their digest."""

    size: int
    sha256: str


class ArchiveWriter:
    """Writes files one after the other; the archive is complete once it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK_BYTES)  # noqa: SIM115 - closed by `close`

    def add_file(self, name: str, path: Path, *, is_secret: bool = False) -> ArchivedFile:
        """Add the file at `path` under a name."""
        with path.open("rb") as file:
            size, reader = os.fstat(file.fileno()).st_size, _HashingReader(file)
            self._tar.addfile(_member(name, size, OWNER_ONLY if is_secret else EVERYBODY), reader)
        return ArchivedFile(size, reader.digest.hexdigest())

    def add_text(self, name: str, text: str) -> None:
        """Add a text under a name."""
        content = text.encode("utf-8")
        self._tar.addfile(_member(name, len(content), EVERYBODY), BytesIO(content))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()


class _HashingReader:
    """Reads a file for the archive, and takes the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, sha256()

    def read(self, size: int = -1, /) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def _member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, mode
    return member


@contextmanager
def new_archive_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file, its owner's alone, which takes the place of `path` once the block ends well, else it is gone.

    Raises TransientError where the disk refuses.
    """
    with disk_errors(path.parent, path=path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        new = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def opened_archive_file(path: Path) -> Iterator[BinaryIO]:
    """Yield the file at `path`; raises ConfigError where none can be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path), todo="Name a file that `segments backup` wrote.") from None
    with file:
        yield file


def unpack_archive(file: BinaryIO, folder: Path, *, where: str) -> dict[str, ArchivedFile]:
    """Write all files of an archive below `folder`, at their names, and return what each is.

    Raises DataError where it is no archive, or ends too early, or holds anything but files below its own top; TransientError where the
    disk refuses.
    """
    unpacked: dict[str, ArchivedFile] = {}
    with _translating_archive_errors(where), tarfile.open(fileobj=file, mode="r|*", bufsize=CHUNK_BYTES) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or not parts or parts[0] == "/" or ".." in parts:
                raise tarfile.ReadError("not a file of ours")
            place = folder / member.name
            with disk_errors(folder):
                place.parent.mkdir(parents=True, exist_ok=True)
                unpacked[member.name] = _unpack(tar, member, place)
    return unpacked


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> ArchivedFile:
    digest, content = sha256(), tar.extractfile(member)
    # Created with its rights: a file made first and restricted afterwards could be opened by others in between.
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & EVERYBODY), "wb") as new:
        while content and (chunk := content.read(CHUNK_BYTES)):
            digest.update(chunk)
            new.write(chunk)
    return ArchivedFile(member.size, digest.hexdigest())


@contextmanager
def _translating_archive_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError):
        raise DataError(
            "this is no backup, or not the whole of one", where=where, todo="Nothing was restored. Take another backup."
        ) from None


def move_unpacked(folder: Path, name: str, new: Path) -> None:
    """Move an unpacked file to another private folder on the same disk."""
    with disk_errors(new, path=new):
        new.parent.mkdir(parents=True, exist_ok=True)
        (folder / name).rename(new)
