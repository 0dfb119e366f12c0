"""What an object store answers when it refuses, in our words: each cause with its next step, and nothing of the request.

Codes are those of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. What a store or its client says is never
shown, as it may quote a signed address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, NotFoundError

from pipeline.errors import ConfigError, ErrorCause, TransientError
from pipeline.tls import tls_fault

GUIDE = "see `A lake in a bucket` in the documentation"
CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN, where they came with one)"


NO_BUCKET = ErrorCause(
    ConfigError, "there is no such bucket", todo="Make it, or name another one by SEGMENTS_LAKE or --lake s3://BUCKET/PREFIX."
)
NO_RIGHTS = ErrorCause(
    ConfigError,
    "the credentials have no right to do this in the bucket",
    todo=f"Allow them s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject below the lake's prefix: {GUIDE}.",
)
UNKNOWN_KEY = ErrorCause(ConfigError, "the object store does not know these credentials", todo=f"Set {CREDENTIALS} to valid ones.")
NO_CREDENTIALS = ErrorCause(
    ConfigError, "there are no credentials for the object store", todo=f"Set {CREDENTIALS}, or run where the machine has a role: {GUIDE}."
)
EXPIRED = ErrorCause(
    ConfigError, "the credentials for the object store have expired", todo=f"Get new ones, set {CREDENTIALS}, then run again."
)
SKEW = ErrorCause(
    ConfigError,
    "the clock of this machine is too far from that of the object store",
    todo="Set it, best by a time service (timedatectl set-ntp true), then run again.",
)
REGION = ErrorCause(ConfigError, "the bucket is in another region", todo="Set AWS_REGION to the region of the bucket, then run again.")
BUSY = ErrorCause(TransientError, "the object store is too busy", todo="Run again in a few minutes.")
UNREACHABLE = ErrorCause(
    TransientError,
    "the object store cannot be reached",
    todo="Check the network, and AWS_ENDPOINT_URL where it is set, then run again.",
)
UNFIT = ErrorCause(
    ConfigError,
    "the object store lacks what a lake needs of it",
    todo=f"Use one that knows If-Match and If-None-Match when it writes: {GUIDE}.",
)
OTHER = ErrorCause(TransientError, "the object store refused", todo="Run again; if it stays so, look into the log of the object store.")

BY_CODE = {
    "NoSuchBucket": NO_BUCKET,
    "InvalidBucketName": NO_BUCKET,
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "AccountProblem"), NO_RIGHTS),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "MissingSecurityHeader"), UNKNOWN_KEY
    ),
    **dict.fromkeys(("ExpiredToken", "TokenRefreshRequired", "ExpiredTokenException"), EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), SKEW),
    **dict.fromkeys(
        ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), REGION
    ),
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "TooManyRequests"), BUSY),
    "NotImplemented": UNFIT,
}
BY_STATUS = {301: REGION, 307: REGION, 401: UNKNOWN_KEY, 403: NO_RIGHTS, 429: BUSY, 501: UNFIT}
# Other texts of the client, which has no code for them.
CREDENTIAL_ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "sts.", "/latest/api/token", "AssumeRole")
CODE = re.compile(r"<Code>(\w+)</Code>")
STATUS = re.compile(r"status code: (\d{3})")


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Raise ConfigError or TransientError for what the store refuses in the block, FileNotFoundError where an object is not there.

    Whether a condition held is no refusal: AlreadyExistsError and PreconditionError of the client pass.
    """
    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        text = str(error)
        if is_absence(error, text):
            raise FileNotFoundError(where) from None
        if is_failed_condition(error, text):
            raise
        refusal = refusal_of(text)
        raise refusal.kind(refusal.what, where=where, todo=refusal.todo) from None


def is_absence(error: Exception, text: str) -> bool:
    """Return whether the store said that there is no such object; without a bucket there is none either, but that is a refusal."""
    return isinstance(error, (NotFoundError, FileNotFoundError)) and "NoSuchBucket" not in text


def is_failed_condition(error: Exception, text: str) -> bool:
    """Return whether the store said that the condition of a write does not hold, or that it cannot tell just now (409)."""
    return type(error).__name__ in ("AlreadyExistsError", "PreconditionError") and "NoSuchBucket" not in text


def refusal_of(text: str) -> ErrorCause:
    """Return the cause that a message of the client tells."""
    if (found := CODE.search(text)) and found[1] in BY_CODE:
        return BY_CODE[found[1]]
    if any(address in text.partition("\n\nDebug")[0] for address in CREDENTIAL_ADDRESSES):
        return NO_CREDENTIALS
    if "Received redirect" in text:
        return REGION
    if fault := tls_fault(text):
        return fault._replace(what=f"{UNREACHABLE.what}: {fault.what}")
    if found := STATUS.search(text):
        status = int(found[1])
        return BY_STATUS.get(status, BUSY if status >= 500 else OTHER)  # noqa: PLR2004 - errors of the server
    return UNREACHABLE if "error sending request" in text or "HTTP error" in text or "timed out" in text else OTHER
