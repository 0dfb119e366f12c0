"""Where a lake in a bucket is, whose credentials open it, and what keeps old versions of what was erased."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support.nights import write_shop
from support.object_store import CREDENTIALS, ObjectStore
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.connections import connection_uri
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.workers import WorkerProcesses
from pipeline.operations.bucket_deployment import cache_folder, cache_limit, versions_expire_days
from pipeline.operations.deployment import Deployment, open_lake
from pipeline.operations.erasure.erase import erase_customers

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
OURS = ("SEGMENTS_LAKE_CONNECTION", "SEGMENTS_CACHE_LIMIT", "SEGMENTS_VERSIONS_EXPIRE", "AIRFLOW_CONN_STORE", "SEGMENTS_CONNECTION_STORE")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*AWS, *OURS):
        # Set first, so that what a lake sets for other processes is gone after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("SEGMENTS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop", [], customers=[])


def test_credentials_and_endpoint_are_those_of_the_usual_variables(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    bucket = object_store.new_bucket()
    lake = open_lake(f"s3://{bucket}/a/b/")
    lake.write_text("models/x.txt", "one")
    assert lake.where("models/x.txt") == f"s3://{bucket}/a/b/models/x.txt"
    assert open_lake(f"s3://{bucket}").read_text("a/b/models/x.txt") == "one"


def text_of(lake: Lake) -> str:
    return lake.read_text("models/x.txt")


@pytest.mark.parametrize("kind", ["uri", "json"])
def test_a_connection_has_them_and_processes_beside_this_one_get_them(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    key, secret = CREDENTIALS.key, CREDENTIALS.secret
    extra = {"region_name": "us-east-1", "endpoint_url": object_store.endpoint}
    written = {
        "uri": f"aws://{key}:{secret}@/?region_name=us-east-1&endpoint_url={object_store.endpoint.replace('/', '%2F')}",
        "json": json.dumps({"conn_type": "aws", "login": key, "password": secret, "extra": extra}),
    }
    monkeypatch.setenv("AIRFLOW_CONN_STORE", written[kind])
    monkeypatch.setenv("SEGMENTS_LAKE_CONNECTION", "store")
    lake = open_lake(f"s3://{object_store.new_bucket()}/x", connections=connection_uri)
    lake.write_text("models/x.txt", "one")
    assert secret.encode() not in pickle.dumps(lake)
    with closing(WorkerProcesses(2)) as workers:
        assert list(workers.map(text_of, [lake, lake])) == ["one", "one"]


def test_a_connection_of_another_kind_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTS_CONNECTION_STORE", "postgresql://u:secret@h/x")
    monkeypatch.setenv("SEGMENTS_LAKE_CONNECTION", "store")
    with pytest.raises(ConfigError, match="not of kind `aws`") as refused:
        open_lake("s3://bucket/x")
    assert "secret" not in str(refused.value)
    assert refused.value.where == "connection `store`"


def test_without_the_client_of_object_stores_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pipeline.lake.bucket")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match="needs the package obstore") as refused:
        open_lake("s3://bucket/x")
    assert "customer-segments[bucket]" in refused.value.todo


def test_a_lake_in_a_folder_loads_nothing_of_it(tmp_path: Path) -> None:
    code = f"""
import sys
from contextlib import closing
from pathlib import Path
from pipeline.operations.deployment import open_lake
open_lake(Path({str(tmp_path)!r})).write_text("a.txt", "x")
print([name for name in sys.modules if name.startswith(("obstore", "pipeline.lake.bucket"))])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "place", ["s3a://bucket/prefix", "S3://bucket/prefix", "s3:/bucket/prefix", "gs://key:s3cret@bucket", "file:///srv/lake"]
)
def test_an_address_of_another_kind_is_no_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="this address is no place for a lake") as refused:
        open_lake(place)
    assert "s3://BUCKET/PREFIX" in refused.value.todo
    assert "s3cret" not in str(refused.value)


def test_the_cache_is_where_it_is_set_else_where_programs_keep_such_things() -> None:
    assert cache_folder({"SEGMENTS_CACHE": "/var/cache/x"}) == Path("/var/cache/x")
    assert cache_folder({"XDG_CACHE_HOME": "/home/u/.c"}) == Path("/home/u/.c/customer-segments")
    assert cache_folder({}) == Path("~/.cache/customer-segments").expanduser().resolve()
    assert [cache_limit({}), cache_limit({"SEGMENTS_CACHE_LIMIT": "1.5GB"})] == [20_000_000_000, 1_500_000_000]


@pytest.mark.parametrize("text", ["much", "50%", "-1GB", "0GB", ""])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SEGMENTS_CACHE_LIMIT"):
        cache_limit({"SEGMENTS_CACHE_LIMIT": text})


@pytest.mark.parametrize("text", ["soon", "0", "-3", "1.5"])
def test_days_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="SEGMENTS_VERSIONS_EXPIRE"):
        versions_expire_days({"SEGMENTS_VERSIONS_EXPIRE": text})


def test_an_erasure_refuses_a_bucket_that_keeps_old_versions_unless_it_is_said_when_they_go(
    object_store: ObjectStore, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    plain, versioned = f"s3://{object_store.new_bucket()}/x", f"s3://{object_store.new_bucket(is_versioned=True)}/x"
    assert erase_customers(Deployment.of(shop, plain), ["ann"]).versions_expire_days is None
    with pytest.raises(ConfigError, match="keeps old versions") as refused:
        erase_customers(Deployment.of(shop, versioned), ["ann"])
    assert "segments erase --versions-expire N" in refused.value.todo
    assert Deployment.of(shop, versioned).lake.list_addresses("erasures/") == []
    command = ["erase", "ann", "--company", str(shop), "--lake", versioned, "--versions-expire", "30"]
    answer = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "by its own rule these are gone 30 days after" in " ".join(answer.output.split())
    receipt = json.loads(Deployment.of(shop, versioned).lake.read_text("erasures/receipts/000001.json"))
    assert receipt["versions_expire_days"] == 30
    monkeypatch.setenv("SEGMENTS_VERSIONS_EXPIRE", "14")
    assert erase_customers(Deployment.of(shop, versioned), ["bob"]).versions_expire_days == 14
