"""Files that appear together in a bucket: all of them or none, even if the run is killed.

    pending/<name>/<address>     being uploaded; nobody reads it
    pending/<name>.json          which files there are, and which tag each place had: with this the transaction has happened

Whoever comes next moves the files to their places, where the writer of the journal could not. A place that has neither the tag
of before nor the file's content was written again since: then the files are there already.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import TransientError
from pipeline.lake.addresses import PENDING
from pipeline.lake.bucket.objects import Objects


class Journal:
    """Transactions over several objects."""

    def __init__(self, objects: Objects) -> None:
        self._objects, self._client = objects, objects.client

    @contextmanager
    def transaction(self, name: str) -> Iterator[Path]:
        """Yield a folder in which files are written at their addresses; all appear in the bucket once the block ends well.

        The caller holds a lock that keeps other writers of `name` off.
        """
        self.finish(name)
        with self._objects.cache.private_folder() as folder:
            yield folder
            self._commit(name, folder)
        self.finish(name)

    def finish(self, name: str) -> None:
        """Move the files of an interrupted transaction to their places; does nothing where there is none."""
        journal, parts = _journal_address(name), f"{PENDING}{name}/"
        found = self._client.find(journal)
        if found is not None:
            tags: dict[str, str | None] = json.loads(found.content)["replaced_tags"]
            with self._objects.cache.private_folder() as folder:
                for address, tag in tags.items():
                    self._place(parts + address, address, tag, folder / "part.parquet")
            self._objects.remove([journal])
        # Parts without a journal are of a run that was killed before it had happened.
        self._objects.remove([address for address, _ in self._client.list_objects(parts)])

    def _commit(self, name: str, folder: Path) -> None:
        files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        before = {address: self._objects.index.find(address) for address in files}
        self._objects.before_change()
        with self._client.threads() as threads:
            list(threads.map(lambda item: self._client.put(f"{PENDING}{name}/{item[0]}", item[1]), files.items()))
        tags = {address: stored.tag if stored else None for address, stored in before.items()}
        content = json.dumps({"replaced_tags": tags, "token": secrets.token_hex(8)}).encode()
        # Whoever took over the lock meanwhile has removed the parts, as those of a run that was killed.
        self._objects.before_change()
        if self._client.put_where(journal := _journal_address(name), content, expected=None) is None:
            raise TransientError("another run changes the same files", where=self._client.where(journal), todo="Run again.")

    def _place(self, part: str, address: str, replaced_tag: str | None, new: Path) -> None:
        try:
            self._client.download(part, new)
        except FileNotFoundError:  # another run is finishing it too, and is further
            return
        self._objects.put_where(address, new, expected=replaced_tag)


def _journal_address(name: str) -> str:
    return f"{PENDING}{name}.json"
