"""An upgrade that is killed anywhere: readers see what was live, and the same command ends it."""

from __future__ import annotations

from pathlib import Path

from support.killing import Killer
from support.nights import tree_bytes
from support.stored_lakes import unpack

from pipeline.definitions.lake_claim import FORMAT, read_claim
from pipeline.lake.addresses import CURRENT, MODELS, OWNER
from pipeline.lake.lake import Lake
from pipeline.operations.migrations import MIGRATIONS, Migration, MigrationStep
from pipeline.operations.upgrade import upgrade_lake

LASTING = ("tables", "publications", "definitions", "sync", "fitted")


def rename_models(lake: Lake) -> None:
    """Move every model below `fitted/`: a migration of several files, each of which is in one place or the other."""
    for address in lake.list_addresses(MODELS):
        lake.store.move(address, address.replace(MODELS, "fitted/"))


LONGER = (*MIGRATIONS, Migration(FORMAT, FORMAT + 1, "a test", (MigrationStep("models lie elsewhere", rename_models),)))


def upgrade(root: Path) -> None:
    upgrade_lake(Lake(root), LONGER)


def test_wherever_an_upgrade_is_killed_readers_see_what_was_live_and_the_same_command_ends_it(tmp_path: Path, killing: Killer) -> None:
    unpack("0.1.0", tmp_path)
    root = tmp_path / "lake"
    live = Lake(root).store.read_pointer(CURRENT)
    published = tree_bytes(Lake(root), "publications")
    states = killing.killed_everywhere(upgrade, root)
    formats = [claim.format for state in states if (claim := read_claim(Lake(state)))]
    assert formats == sorted(formats)
    assert set(formats) == {1, FORMAT, FORMAT + 1}
    assert len(formats) == len(states)
    for state in states:
        assert Lake(state).store.read_pointer(CURRENT) == live
        assert tree_bytes(Lake(state), "publications") == published
    killing.done(upgrade, [*states, root])
    ended = tree_bytes(Lake(root), *LASTING)
    assert any(name.startswith("fitted/") for name in ended)
    for state in states:
        assert tree_bytes(Lake(state), *LASTING) == ended
        assert (state / OWNER).read_text("utf-8") == (root / OWNER).read_text("utf-8")
