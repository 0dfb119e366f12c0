"""A lake on a local disk: each object is a file below one folder, and what appears does so by one rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path, PurePosixPath

from pipeline.lake.addresses import LOCKS, PUBLICATION_MANIFEST
from pipeline.lake.byte_sources import ByteSource, open_local_bytes
from pipeline.lake.checksums import SealedFile, sealed_file
from pipeline.lake.disk import disk_errors, flush_to_disk, link_or_copy
from pipeline.lake.locks import lock_folder
from pipeline.lake.staging import private_folder, staged_file
from pipeline.lake.transaction import finish_transaction, transaction

OWNER_ONLY = 0o700


class LocalStore:
    """Objects as files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root, self._folder = root, str(root)

    def read(self, address: str) -> bytes:
        try:
            return self.local(address).read_bytes()
        except NotADirectoryError as error:  # where a part of the way is a file, nothing can be
            raise FileNotFoundError(*error.args) from None

    def write(self, address: str, content: bytes) -> None:
        with self.stage(address) as new:
            new.write_bytes(content)

    def create_secret(self, address: str, content: bytes) -> bool:
        path = self.local(address)
        if path.exists():
            return False
        with disk_errors(self._root, path=path), self.private_folder() as folder:
            path.parent.mkdir(mode=OWNER_ONLY, exist_ok=True)
            new = folder / path.name
            # Created with its rights: a file made first and restricted afterwards could be opened by others in between.
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            new.rename(path)
        return True

    def append(self, address: str, line: bytes) -> None:
        path = self.local(address)
        with disk_errors(self._root, path=path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(line)

    def exists(self, address: str) -> bool:
        return os.path.isfile(f"{self._folder}/{address}")  # noqa: PTH113 - as text: every step looks for many

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        start = len(str(self._root)) + 1
        names = (
            f"{folder[start:]}/{file}".lstrip("/")
            for folder, _, files in os.walk(self.local(prefix.rpartition("/")[0]))
            for file in files
            if file.endswith(suffix)
        )
        return sorted(name for name in names if name.startswith(prefix))

    def list_folders(self, prefix: str) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(f"{self._folder}/{prefix}") as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
        return []

    def folder_sizes(self) -> dict[str, int]:
        # `current` is a link into another one.
        folders = {name: path for name in self.list_folders("") if not (path := self.local(name)).is_symlink()}
        return {name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) for name, folder in folders.items()}

    def free_bytes(self) -> int | None:
        # A lake that is not there yet will be on the disk of the folder that it is made in.
        nearest = next(folder for folder in (self._root.absolute(), *self._root.absolute().parents) if folder.exists())
        return shutil.disk_usage(nearest).free

    def delete(self, address: str) -> None:
        path = self.local(address)
        with disk_errors(self._root, path=path):
            path.unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        with disk_errors(self._root), suppress(FileNotFoundError):
            shutil.rmtree(self.local(prefix))

    def move(self, address: str, new: str) -> None:
        path = self.local(new)
        with disk_errors(self._root, path=path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.local(address).rename(path)

    def link_or_copy(self, address: str, new: str) -> None:
        self.put_file(self.local(address), new)

    def stage(self, address: str) -> AbstractContextManager[Path]:
        return staged_file(self._root, self.local(address))

    def transaction(self, name: str) -> AbstractContextManager[Path]:
        return transaction(self._root, name)

    def finish_transaction(self, name: str) -> None:
        finish_transaction(self._root, name)

    def put_file(self, path: Path, address: str) -> None:
        place = self.local(address)
        with disk_errors(self._root, path=place), self.private_folder() as folder:
            # A link cannot take the place of a file that is there; a rename can.
            twin = folder / place.name
            link_or_copy(path, twin)
            place.parent.mkdir(parents=True, exist_ok=True)
            twin.replace(place)

    def link_to(self, address: str, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        link_or_copy(self.local(address), path)

    def download(self, address: str, path: Path) -> None:
        shutil.copyfile(self.local(address), path)

    def size(self, address: str) -> int:
        return self.local(address).stat().st_size

    def written_at(self, address: str) -> int:
        with suppress(FileNotFoundError):
            return self.local(address).stat().st_mtime_ns
        return 0

    def install_folder(self, prefix: str, folder: Path, manifest: str) -> None:
        place = self.local(prefix)
        (folder / PUBLICATION_MANIFEST).write_text(manifest, "utf-8")
        # Everything durable before it appears: after a power cut a publication is there whole, or not at all.
        for path in (*folder.iterdir(), folder):
            flush_to_disk(path)
        place.parent.mkdir(exist_ok=True)
        # The prefix names its content, so what is there already is the same publication, perhaps damaged since.
        if place.is_dir():
            for path in sorted(folder.iterdir()):
                path.replace(place / path.name)
        else:
            folder.rename(place)
        flush_to_disk(place)
        flush_to_disk(place.parent)

    def remove_folders(self, prefixes: Iterable[str]) -> None:
        with self.private_folder() as private:
            for prefix in prefixes:
                folder = self.local(prefix)
                # A rename takes a folder away at once; deleting its files in place would let readers see half of them.
                folder.rename(private / folder.name)

    def read_pointer(self, address: str) -> str | None:
        path = self.local(address)
        if path.is_symlink():
            # A person may have laid the link by hand: with an absolute target, or one out of the lake.
            target = self._root / path.readlink()
            return f"{target.relative_to(self._root) if target.is_relative_to(self._root) else target}/"
        return f"{address}/" if path.exists() else None

    def swap_pointer(self, address: str, prefix: str, *, expected: str | None) -> bool:
        path = self.local(address)
        # Comparing and replacing are two steps: the caller holds a lock that keeps other writers off.
        if path.is_symlink() and self.read_pointer(address) != expected:
            return False
        with self.private_folder() as private:
            link = private / path.name
            link.symlink_to(PurePosixPath(prefix))
            link.replace(path)
        flush_to_disk(path.parent)
        return True

    def remove_pointer(self, address: str) -> None:
        path = self.local(address)
        path.unlink(missing_ok=True)
        flush_to_disk(path.parent)

    def where(self, address: str = "") -> str:
        return str(self.local(address))

    def uri(self, address: str = "") -> str:
        return f"file://{self.local(address).absolute()}"

    def local(self, address: str) -> Path:
        return self._root / address

    def edit(self, address: str) -> AbstractContextManager[Path]:
        return nullcontext(self.local(address))

    def open_bytes(self, address: str) -> AbstractContextManager[ByteSource]:
        return open_local_bytes(self.local(address))

    def sealed(self, address: str) -> SealedFile:
        return sealed_file(self.local(address))

    def fetch_seals(self, addresses: Sequence[str]) -> None:
        """Do nothing: all is here."""

    def fetch(self, addresses: Sequence[str]) -> None:
        """Do nothing: all is here."""

    def private_folder(self) -> AbstractContextManager[Path]:
        return private_folder(self._root)

    def lock(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> AbstractContextManager[None]:
        return lock_folder(self.local(f"{LOCKS}{name}"), timeout_seconds=timeout_seconds, is_shared=is_shared)

    def lock_names(self) -> list[str]:
        return sorted(folder.name for folder in self.local(LOCKS).glob("*/"))

    def flush(self) -> None:
        os.sync()

    def keeps_versions(self) -> bool:
        return False
