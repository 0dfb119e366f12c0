"""A restore that was interrupted: from the moment that its files began to appear, all of them must."""

from __future__ import annotations

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore

TRANSACTION = "restore"


def finish_restore(lake: Lake) -> None:
    """Do what an interrupted restore left to do, if anything."""
    # Without a lock, for every night asks.
    if not isinstance(lake.store, LocalStore) or not (
        lake.exists(addresses.RESTORED) or lake.list_addresses(f"{addresses.PENDING}{TRANSACTION}")
    ):
        return
    with lake.lock(TRANSACTION):
        lake.store.finish_transaction(TRANSACTION)
        if lake.exists(addresses.RESTORED):
            if current := lake.read_text(addresses.RESTORED):
                with lake.disk_errors("restore"):
                    # Where it was interrupted right afterwards, `current` leads there already.
                    lake.store.swap_pointer(addresses.CURRENT, current, expected=None)
            lake.delete(addresses.RESTORED)
