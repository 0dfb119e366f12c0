"""Where a bucket is and how it is reached: what processes may hand to each other, and the credentials, which they may not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from pipeline.errors import ConfigError

SCHEME = "s3://"
DEFAULT_CACHE_BYTES = 20_000_000_000
LEASE_SECONDS = 60.0
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """A bucket, the prefix of a lake in it, and the folder on this machine in which copies of its objects are kept.

    Without an `endpoint` it is AWS; without a `region` the one of the environment. Holds no secret, so that it can be pickled.
    """

    bucket: str
    prefix: str
    cache: Path
    endpoint: str = ""
    region: str = ""
    cache_bytes: int = DEFAULT_CACHE_BYTES
    lease_seconds: float = LEASE_SECONDS

    @property
    def url(self) -> str:
        """Return the address of the lake, which ends in `/`."""
        return f"{SCHEME}{self.bucket}/{f'{self.prefix}/' if self.prefix else ''}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of an object store; none are shown. Without a key, those are used that the environment or the machine has."""

    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials stay in their process")


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """What a connection of kind `aws` says: credentials, and an endpoint and a region where it names them."""

    credentials: Credentials
    endpoint: str = ""
    region: str = ""


def aws_connection(uri: str, *, where: str) -> AwsConnection:
    """Return what a connection says, such as aws://KEY:SECRET@/?region_name=eu-central-1; raises ConfigError for another kind."""
    try:
        parts = urlsplit(uri)
        options = dict(parse_qsl(parts.query))
        is_aws = parts.scheme == "aws"
    except ValueError:
        is_aws = False
    if not is_aws:
        todo = "Write one such as aws://KEY:SECRET@/?region_name=eu-central-1, or an Airflow connection of kind `aws`; quote `/` as %2F."
        raise ConfigError("the connection is not of kind `aws`", where=where, todo=todo)
    credentials = Credentials(unquote(parts.username or ""), unquote(parts.password or ""), options.get("aws_session_token", ""))
    return AwsConnection(credentials, options.get("endpoint_url", ""), options.get("region_name", ""))


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and prefix of an address such as s3://bucket/prefix; raises ConfigError where it is none."""
    try:
        parts = urlsplit(url)
        names = [name for name in parts.path.split("/") if name]
        has_more = parts.query or parts.fragment or {".", ".."} & {*names}
        is_address = parts.scheme == "s3" and BUCKET.fullmatch(parts.netloc) and not has_more
    except ValueError:
        is_address = False
    if not is_address:
        todo = "Write one such as s3://my-bucket/segments; credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        raise ConfigError("this is no address of a lake in a bucket", where="SEGMENTS_LAKE or --lake", todo=todo)
    return parts.netloc, "/".join(names)


def require_endpoint(endpoint: str, *, where: str) -> str:
    """Return the address of an object store, without a `/` at its end; raises ConfigError where it is none, or has credentials in it.

    The client of object stores would end the process for some of these.
    """
    try:
        parts = urlsplit(endpoint)
        has_more = parts.username or parts.password or parts.query or parts.fragment or parts.netloc.endswith(":")
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not has_more
    except ValueError:
        is_address = False
    if not is_address:
        todo = "Write one such as https://storage.example.org:9000; credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        raise ConfigError("this is no address of an object store", where=where, todo=todo)
    return endpoint.rstrip("/")
