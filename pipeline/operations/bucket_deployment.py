"""A lake in a bucket, as a deployment names it: where it is, whose credentials open it, where copies of its objects are kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.definitions.connections import object_store_endpoint, object_store_region, redact_uri
from pipeline.definitions.fields import printable_value
from pipeline.definitions.settings import is_memory_size
from pipeline.errors import ConfigError
from pipeline.lake.limits import memory_bytes

if TYPE_CHECKING:
    from pipeline.lake.bucket.bucket_store import BucketStore
    from pipeline.lake.bucket.settings import AwsConnection, BucketSettings

BUCKET_SCHEME = "s3://"
# Such as s3a://, gs:// and s3:/bucket; a single letter may be a drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
DEFAULT_CACHE_LIMIT = "20GB"
CACHE, CACHE_LIMIT, CONNECTION = "SEGMENTS_CACHE", "SEGMENTS_CACHE_LIMIT", "SEGMENTS_LAKE_CONNECTION"
VERSIONS_EXPIRE = "SEGMENTS_VERSIONS_EXPIRE"


def is_bucket(place: Path | str) -> bool:
    """Return whether a lake's place is in a bucket, and no folder; raises ConfigError for an address of another kind."""
    if str(place).startswith(BUCKET_SCHEME):
        return True
    if _ADDRESS.match(str(place)):
        # A folder of that name would be made, and the night would go there.
        todo = "Write s3://BUCKET/PREFIX for a bucket, with AWS_ENDPOINT_URL where it is not Amazon's, or a folder without `:/`."
        raise ConfigError("this address is no place for a lake", where=redact_uri(str(place)), todo=todo)
    return False


def open_bucket(url: str, environment: Mapping[str, str], connections: Callable[[str], str]) -> BucketStore:
    """Return the store of the lake at an address such as s3://bucket/prefix.

    The `environment` has what AWS_* variables say, or names a connection of kind `aws` in SEGMENTS_LAKE_CONNECTION. Raises ConfigError
    for an address, a connection or a limit that is none, and where the client of object stores is not installed.
    """
    try:
        from pipeline.lake.bucket.bucket_store import BucketStore
    except ModuleNotFoundError as missing:
        todo = "Install it: pip install 'customer-segments[bucket]', or what requirements-bucket.txt pins."
        raise ConfigError(f"a lake in a bucket needs the package {missing.name}", where=redact_uri(url), todo=todo) from None
    from pipeline.lake.bucket.settings import AwsConnection, Credentials, aws_connection

    name = environment.get(CONNECTION, "")
    connection = aws_connection(connections(name), where=f"connection `{name}`") if name else AwsConnection(Credentials())
    return BucketStore(bucket_settings(url, environment, connection), connection.credentials)


def bucket_settings(url: str, environment: Mapping[str, str], connection: AwsConnection) -> BucketSettings:
    """Return where the bucket is and where its copies are kept; raises ConfigError as `open_bucket` does."""
    from pipeline.lake.bucket.settings import BucketSettings, require_endpoint, split_url

    bucket, prefix = split_url(url)
    # The client of object stores reads these by itself, too; here they are needed to tell a plain connection from one by TLS.
    endpoint = connection.endpoint or object_store_endpoint(environment)
    if endpoint:
        endpoint = require_endpoint(endpoint, where="endpoint_url of the connection" if connection.endpoint else "AWS_ENDPOINT_URL")
    region = connection.region or object_store_region(environment)
    cache, limit = cache_folder(environment), cache_limit(environment)
    return BucketSettings(bucket, prefix, cache, endpoint=endpoint, region=region, cache_bytes=limit)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for copies of objects: SEGMENTS_CACHE, else one where programs of this user keep such things."""
    if given := environment.get(CACHE, ""):
        return Path(given).resolve()
    home = environment.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path("~/.cache").expanduser()).resolve() / "customer-segments"


def versions_expire_days(environment: Mapping[str, str]) -> int | None:
    """Return after how many days the bucket removes old versions: SEGMENTS_VERSIONS_EXPIRE; raises ConfigError where it is no number."""
    text = environment.get(VERSIONS_EXPIRE, "")
    if text and not (text.isascii() and text.isdigit() and int(text)):
        what = f"{VERSIONS_EXPIRE} is {printable_value(text)}, which is no number of days"
        raise ConfigError(what, where=f"environment variable {VERSIONS_EXPIRE}", todo="Write the days of the bucket's rule, such as 30.")
    return int(text) if text else None


def cache_limit(environment: Mapping[str, str]) -> int:
    """Return how many bytes of copies are kept: SEGMENTS_CACHE_LIMIT; raises ConfigError where it is no size."""
    text = environment.get(CACHE_LIMIT, DEFAULT_CACHE_LIMIT)
    if not is_memory_size(text) or "%" in text:
        what = f"{CACHE_LIMIT} is {printable_value(text)}, which is no size"
        raise ConfigError(what, where=f"environment variable {CACHE_LIMIT}", todo="Write a size such as 20GB or 800MB, or unset it.")
    return memory_bytes(text)
