"""Executors read from a bucket and write into it, with credentials of their own, where they share no folder with the night."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from support.local_spark import SparkOver
from support.nights import night_of, run_night
from support.object_store import running_object_store

from pipeline.features import compute_rollups
from pipeline.lake.lake import Lake
from pipeline.operations.conformance.made_up_company import NIGHTS, write_made_up_company


def test_rollups_in_a_bucket_have_the_bytes_of_a_folder(tmp_path: Path, spark: SparkOver) -> None:
    shop = write_made_up_company(tmp_path / "shop")
    folder = Lake(tmp_path / "folder")
    run_night(shop, folder, NIGHTS[1], until="validate")
    with running_object_store() as server:
        store = server.new_store(tmp_path / "cache")
        for address in folder.list_addresses("tables/"):
            store.put_file(folder.local(address), address)
        shutil.rmtree(tmp_path / "cache")
        lake = Lake(store)
        engine = spark(lake)
        compute_rollups(lake, engine, NIGHTS[1])
        engine._resources.close()
        with night_of(shop, folder, NIGHTS[1]).deployment.engine() as one_machine:
            compute_rollups(folder, one_machine, NIGHTS[1])
        assert digests(lake) == digests(folder)
        assert len(digests(lake)) > 20
        assert lake.list_addresses("exchange/") == []


def digests(lake: Lake) -> Mapping[str, str]:
    names = [name for prefix in ("tables/", "states/") for name in lake.list_addresses(prefix)]
    return {name: sha256(lake.store.read(name)).hexdigest() for name in names}
