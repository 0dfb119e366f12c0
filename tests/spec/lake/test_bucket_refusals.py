"""What an object store refuses is told with its cause and its next step, and nothing of the credentials."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from support.object_store import CREDENTIALS, ObjectStore

from local.object_store import await_answer
from local.ports import free_port
from pipeline.errors import ConfigError, PipelineError, TransientError
from pipeline.lake.bucket import client as bucket_client
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.refusals import NO_CREDENTIALS, refusal_of
from pipeline.lake.bucket.settings import BucketSettings, split_url


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bucket_client.RETRIES, "max_retries", 1)
    monkeypatch.setitem(bucket_client.RETRIES["backoff"], "init_backoff", timedelta(milliseconds=2))


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """Yield the address of a server that refuses every request."""
    body = f"<Error><Code>{code}</Code><Message>a-key AKIA</Message></Error>".encode()

    class Refusing(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = refuse  # noqa: N815 - as the base class looks for them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def a_store(endpoint: str, cache: Path) -> BucketStore:
    return BucketStore(BucketSettings("shop", "lake", cache, endpoint=endpoint, region="us-east-1"), CREDENTIALS)


@pytest.mark.parametrize(
    ("status", "code", "kind", "what", "todo"),
    [
        (403, "AccessDenied", ConfigError, "no right", "s3:ListBucket"),
        (403, "InvalidAccessKeyId", ConfigError, "does not know these credentials", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", ConfigError, "does not know these credentials", "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", ConfigError, "have expired", "AWS_SESSION_TOKEN"),
        (403, "RequestTimeTooSkewed", ConfigError, "the clock of this machine", "timedatectl"),
        (301, "PermanentRedirect", ConfigError, "another region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", ConfigError, "another region", "AWS_REGION"),
        (404, "NoSuchBucket", ConfigError, "no such bucket", "Make it"),
        (501, "NotImplemented", ConfigError, "lacks what a lake needs", "If-Match"),
        (503, "SlowDown", TransientError, "too busy", "Run again"),
        (400, "Strange", TransientError, "refused", "Run again"),
    ],
)
@pytest.mark.parametrize("action", ["read", "list", "write"])
def test_each_refusal_has_its_next_step(
    status: int, code: str, kind: type[PipelineError], what: str, todo: str, action: str, tmp_path: Path
) -> None:
    with answering(status, code) as endpoint:
        store = a_store(endpoint, tmp_path)
        actions = {"read": lambda: store.read("a"), "list": lambda: store.list_addresses("b/"), "write": lambda: store.write("a", b"1")}
        with pytest.raises(kind) as refused:
            actions[action]()
    assert what in refused.value.what
    assert todo in refused.value.todo
    assert refused.value.where.startswith("s3://shop/lake/")
    assert not any(secret in str(refused.value) for secret in ("a-key", "a-secret", "AKIA"))
    assert refused.value.__cause__ is None


def test_without_a_network_the_night_may_run_again_later(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="cannot be reached"):
        a_store(f"http://127.0.0.1:{free_port()}", tmp_path).read("a")


def test_without_credentials_it_says_where_they_belong() -> None:
    text = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error: error sending request"
    assert refusal_of(text) is NO_CREDENTIALS


def test_credentials_are_neither_shown_nor_handed_on() -> None:
    assert "a-" not in repr(CREDENTIALS)
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(CREDENTIALS)


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///lake", "s3://key:secret@bucket/lake", "gs://bucket", "s3://bucket/../x", "s3://bucket/a?b=c"]
)
def test_what_is_no_address_of_a_bucket_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="no address") as refused:
        split_url(url)
    assert "secret@" not in str(refused.value)


def test_an_address_is_a_bucket_and_a_prefix() -> None:
    assert [split_url(url) for url in ("s3://shop", "s3://shop/", "s3://shop/a/b/")] == [("shop", ""), ("shop", ""), ("shop", "a/b")]


@pytest.fixture
def ignorant(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a server that ignores conditions, as some do."""
    port = free_port()
    program = Path(sys.executable).with_name("localbucket")
    (tmp_path / "data").mkdir()
    command = [program, "--port", str(port), str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_answer(endpoint := f"http://127.0.0.1:{port}", process)
        httpx.put(f"{endpoint}/shop")
        yield endpoint
    finally:
        process.kill()
        process.wait()


def test_a_store_that_lets_two_writers_win_is_refused_before_anything_is_written(ignorant: str, tmp_path: Path) -> None:
    store = a_store(ignorant, tmp_path / "cache")
    changes = [
        lambda: store.write("a", b"1"),
        lambda: store.lock("publish", timeout_seconds=0).__enter__(),
        lambda: store.swap_pointer("current", "publications/x/", expected=None),
    ]
    for change in changes:
        with pytest.raises(ConfigError, match="cannot hold a lake: it ignores If-Match") as refused:
            change()
        assert "Or keep the lake in a folder." in refused.value.todo
    assert all(address.startswith("locks/startup-checks/") for address in store.list_addresses(""))


def test_a_fit_store_is_checked_once_a_day_and_nothing_of_it_stays(object_store: ObjectStore, tmp_path: Path) -> None:
    store = object_store.new_store(tmp_path)
    store.write("a", b"1")
    assert store.list_addresses("") == ["a"]
    unchecked = replace(store.settings(), endpoint=store.settings().endpoint)
    assert BucketStore(unchecked, CREDENTIALS).read("a") == b"1"
    assert len(list(tmp_path.glob("*/checked"))) == 1
