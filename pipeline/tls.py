"""Why TLS with a server fails, in our words, whichever library tells: OpenSSL, libpq, rustls, BoringSSL or Go."""

from __future__ import annotations

import re

from pipeline.errors import ConfigError, ErrorCause, PipelineError, TransientError

TRUSTED_FILE = "SSL_CERT_FILE"


# In a `todo`, `{trust}` stands for what names a file of certificates to trust.
EXPIRED = ErrorCause(
    TransientError, "its certificate has expired", todo="Have whoever runs the server renew its certificate, then run again."
)
NOT_VALID_YET = ErrorCause(
    TransientError, "its certificate is not valid yet", todo="Compare the clocks of this machine and of the server, then run again."
)
OTHER_HOST = ErrorCause(
    ConfigError, "its certificate is of another host", todo="Write the host into the connection as its certificate names it."
)
UNTRUSTED = ErrorCause(
    ConfigError,
    "its certificate is signed by nobody whom this machine trusts",
    todo="Let {trust} name a file of certificates to trust that has its signer's.",
)
# libpq tells no more than this. A command at the end has no full stop, which would be copied with it.
UNTOLD = ErrorCause(
    TransientError,
    "its certificate has expired, is not valid yet, or is signed by nobody whom `sslrootcert` names",
    todo="See which: openssl s_client -starttls postgres -connect HOST:PORT </dev/null | openssl x509 -noout -dates -issuer",
)
REFUSED = ErrorCause(
    ConfigError,
    "its certificate is refused, though it has not expired and is of this host",
    todo="Show it to whoever runs the server: openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -text",
)
NO_ROOTS = ErrorCause(
    ConfigError,
    "nothing says whose certificates to trust",
    todo="Set `sslrootcert` in the connection to a file of certificates to trust, such as /etc/ssl/certs/ca-certificates.crt.",
)
NO_TLS = ErrorCause(
    ConfigError, "what answers there does not speak TLS", todo="Correct host and port, or have whoever runs the server switch TLS on."
)
# The first that matches counts.
FAULTS = {
    r"certificate is not yet valid|NotValidYet|or is not yet valid: .* is before": NOT_VALID_YET,
    r"certificate has expired|ExpiredContext": EXPIRED,
    r"does not match host ?name|hostname mismatch|IP address mismatch|NotValidForName|hostname verification": OTHER_HOST,
    r"x509: certificate is valid for": OTHER_HOST,
    r"self[- ]signed certificate|local issuer certificate|UnknownIssuer|verify the first certificate|by unknown authority": UNTRUSTED,
    r"SSL error: certificate verify failed": UNTOLD,
    r"certificate verify failed": REFUSED,
    r"root certificate file": NO_ROOTS,
    r"server does not support SSL|SSL is required but the server|STARTTLS extension not supported": NO_TLS,
    r"WRONG_VERSION_NUMBER|wrong version number|InvalidContentType|look like a TLS handshake|response to HTTPS client": NO_TLS,
}


def tls_fault(text: str, *, trust: str = TRUSTED_FILE) -> ErrorCause | None:
    """Return what a library's message says is wrong with TLS; None where it is about something else.

    `trust` is the setting by which that library is told whom to trust.
    """
    found = next((fault for words, fault in FAULTS.items() if re.search(words, text, re.IGNORECASE)), None)
    return found and found._replace(todo=found.todo.format(trust=trust))


def tls_error(what: str, error: Exception, *, where: str, trust: str = TRUSTED_FILE) -> PipelineError | None:
    """Return our error, which begins with `what` and quotes nothing, where one of a library is about TLS; None where it is not."""
    fault = tls_fault(str(error), trust=trust)
    return fault and fault.kind(f"{what}: {fault.what}", where=where, todo=fault.todo)
