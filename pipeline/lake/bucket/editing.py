"""Objects that a program changes in its own way, such as a database: a private copy is changed, and put back.

A process that is killed meanwhile leaves the object as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pipeline.lake.bucket.client import ObjectMetadata
from pipeline.lake.bucket.objects import Objects
from pipeline.lake.disk import copy_file, disk_errors


@contextmanager
def edited_copy(objects: Objects, address: str) -> Iterator[Path]:
    """Yield a private copy of an object, or of all below an `address` that ends in `/`; what is there after the block is stored.

    Raises TransientError where another run has written it meanwhile, or the disk refuses.
    """
    is_folder = address.endswith("/")
    with disk_errors(objects.cache.root, path=objects.cache.path(address)), objects.cache.private_folder() as private:
        place = private / PurePosixPath(address).name
        # As they are now, whatever an earlier listing said.
        objects.index.forget()
        before = {each: objects.index.find(each) for each in (objects.index.below(address) if is_folder else [address])}
        _copy_into(objects, {each: stored for each, stored in before.items() if stored}, address, place)
        if is_folder:
            place.mkdir(exist_ok=True)
        try:
            yield place
        finally:
            _put_back(objects, before, address, place)


def _copy_into(objects: Objects, before: dict[str, ObjectMetadata], address: str, place: Path) -> None:
    objects.fetch(list(before))
    for each in before:
        if copy := objects.copy_of(each):
            path = place / each.removeprefix(address)  # of a single object: `place` itself
            path.parent.mkdir(parents=True, exist_ok=True)
            copy_file(copy, path)


def _put_back(objects: Objects, before: dict[str, ObjectMetadata | None], address: str, place: Path) -> None:
    files = {f"{address}{path.relative_to(place).as_posix()}": path for path in place.rglob("*") if path.is_file()}
    if place.is_file():
        files = {address: place}
    for each, path in sorted(files.items()):
        objects.replace(each, path, before=before.get(each))
    objects.remove([each for each, stored in before.items() if stored and each not in files])
