"""Why TLS with a server fails, in our words, whichever library tells: OpenSSL, libpq, rustls or BoringSSL."""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.errors import ConfigError, PipelineError, TransientError


class TlsFault(NamedTuple):
    """What is wrong with TLS, and what to do about it."""

    kind: type[PipelineError]
    what: str
    todo: str


EXPIRED = TlsFault(TransientError, "its certificate has expired", "Have whoever runs the server renew its certificate, then run again.")
NOT_VALID_YET = TlsFault(
    TransientError, "its certificate is not valid yet", "Compare the clocks of this machine and of the server, then run again."
)
OTHER_HOST = TlsFault(ConfigError, "its certificate is of another host", "Write the host into the connection as its certificate names it.")
UNTRUSTED = TlsFault(
    ConfigError,
    "its certificate is signed by nobody whom this machine trusts",
    "Let SSL_CERT_FILE, or a database's own option, name a file of certificates to trust that has its signer's.",
)
# libpq tells no more than this.
REFUSED = TlsFault(
    TransientError,
    "its certificate has expired, or is signed by nobody whom `sslrootcert` names",
    "See which: openssl s_client -starttls postgres -connect HOST:PORT </dev/null | openssl x509 -noout -dates -issuer.",
)
NO_ROOTS = TlsFault(
    ConfigError,
    "nothing says whose certificates to trust",
    "Set `sslrootcert` in the connection: to `system`, for those that this machine trusts, or to a file that is there.",
)
NO_TLS = TlsFault(
    ConfigError, "what answers there does not speak TLS", "Correct host and port, or have whoever runs the server switch TLS on."
)
# The first that matches counts.
FAULTS = {
    r"certificate has expired|ExpiredContext": EXPIRED,
    r"certificate is not yet valid|NotValidYet": NOT_VALID_YET,
    r"does not match host ?name|hostname mismatch|IP address mismatch|not valid for name|NotValidForName|hostname verification": OTHER_HOST,
    r"self[- ]signed certificate|local issuer certificate|UnknownIssuer|CaUsedAsEndEntity|verify the first certificate": UNTRUSTED,
    r"certificate verify failed": REFUSED,
    r"root certificate file": NO_ROOTS,
    r"does not support SSL|WRONG_VERSION_NUMBER|wrong version number|InvalidContentType|corrupt message": NO_TLS,
}


def tls_fault(text: str) -> TlsFault | None:
    """Return what a library's message says is wrong with TLS; None where it is about something else."""
    return next((fault for words, fault in FAULTS.items() if re.search(words, text, re.IGNORECASE)), None)


def tls_error(what: str, error: Exception, *, where: str) -> PipelineError | None:
    """Return our error, which begins with `what` and quotes nothing, where one of a library is about TLS; None where it is not."""
    fault = tls_fault(str(error))
    return fault and fault.kind(f"{what}: {fault.what}", where=where, todo=fault.todo)
