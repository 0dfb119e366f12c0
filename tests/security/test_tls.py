"""No connection to a server whose certificate is over, of another host or of an unknown signer, or that has no TLS; and why is said."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from support.certificates import LAST, LONG_AGO, Authority
from support.opened_connections import OPENED, open_iceberg_catalog
from support.postgres import running_postgres, socket_of
from support.tls_servers import running_tls_server

from pipeline.definitions.company_sections import Target
from pipeline.errors import PipelineError
from pipeline.publication.targets.postgresql import postgresql_session
from pipeline.tls import UNTOLD, tls_error, tls_fault

HOST = "localhost"
OPENSSL = shutil.which("openssl")
FAULTS: Mapping[str, Callable[[Authority, Authority], ssl.SSLContext | None]] = {
    "its certificate has expired": lambda trusted, _: trusted.server_context(HOST, until=LONG_AGO),
    "its certificate is not valid yet": lambda trusted, _: trusted.server_context(HOST, since=LAST - timedelta(days=1)),
    "its certificate is of another host": lambda trusted, _: trusted.server_context("db.example.com"),
    "is signed by nobody whom": lambda _, unknown: unknown.server_context(HOST),
    "what answers there does not speak TLS": lambda *_: None,
}
# MariaDB speaks first, so that takes a real one: tests/integration/test_extract_mysql.py. Spark's client tries for half a minute.
BY_ADDRESS = {name: opened for name, opened in OPENED.items() if opened[0] not in ("mysql", "sc", "s3")}


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """Yield who is trusted by all that each library goes by."""
    authority = Authority.of(tmp_path_factory.mktemp("trusted"))
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            environment.setenv(variable, str(authority.file))
        yield authority


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.of(tmp_path_factory.mktemp("unknown"), name="Somebody else")


def address_of(kind: str, port: int, authority: Authority) -> str:
    if kind.startswith("postgresql"):
        return f"{kind}://ada@{HOST}:{port}/shop?sslmode=verify-full&sslrootcert={authority.file}"
    if kind == "aws":
        return f"aws://ada:secret@/?endpoint_url={quote(f'https://{HOST}:{port}', safe='')}"
    return f"https://ada:secret@{HOST}:{port}/shop"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("opened", BY_ADDRESS)
def test_why_tls_fails_is_said_with_what_to_do(opened: str, fault: str, trusted: Authority, unknown: Authority, tmp_path: Path) -> None:
    kind, use = BY_ADDRESS[opened]
    with running_tls_server(FAULTS[fault](trusted, unknown)) as server, pytest.raises(PipelineError) as refused:
        use(address_of(kind, server.port, trusted), tmp_path)
    assert (
        UNTOLD.what if kind.startswith("postgresql") and fault.removeprefix("its certificate ") in UNTOLD.what else fault
    ) in refused.value.what
    assert refused.value.todo
    assert refused.value.exit_code in (3, 7)


@pytest.mark.parametrize("fault", FAULTS)
def test_why_tls_with_a_cluster_fails_is_understood(fault: str, trusted: Authority, unknown: Authority) -> None:
    context = FAULTS[fault](trusted, unknown)
    if context:
        context.set_alpn_protocols(["h2"])
    credentials = grpc.ssl_channel_credentials(trusted.file.read_bytes())
    with running_tls_server(context) as server, grpc.secure_channel(f"{HOST}:{server.port}", credentials) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary("/spark.connect.SparkConnectService/Config")(b"", timeout=20)
        error = tls_error("the server cannot be reached", failed.value, where="SPARK_REMOTE")
    assert error is not None
    assert fault in error.what


@pytest.mark.parametrize("setting", ["", "&sslrootcert=/nowhere.pem"])
def test_a_database_whose_signer_nothing_names_is_not_trusted(
    setting: str, trusted: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where libpq looks by itself
    for use in (use for kind, use in OPENED.values() if kind == "postgresql"):
        with running_tls_server(trusted.server_context(HOST)) as server, pytest.raises(PipelineError, match="nothing says whose certif"):
            use(f"postgresql://ada@{HOST}:{server.port}/shop?sslmode=verify-full{setting}", tmp_path)


TEXTS = {
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate revoked (_ssl.c:1006)": "is refused, though",
    "x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-01-01T00:00:00Z": "has expired",
    "x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is before 2027-01-01T00:00:00Z": "not valid yet",
    "x509: certificate signed by unknown authority": "is signed by nobody whom",
    "x509: certificate is valid for a.example, not b.example": "is of another host",
    "tls: first record does not look like a TLS handshake": "does not speak TLS",
    '(2026, "SSL connection error: SSL is required but the server doesn\'t support it")': "does not speak TLS",
    "STARTTLS extension not supported by server.": "does not speak TLS",
    'FATAL: password authentication failed for user "certificate"': "",
    "the token has expired": "",
    'relation "expired_certificates" does not exist': "",
    "could not translate host name to address: Name or service not known": "",
}


@pytest.mark.parametrize(("text", "words"), TEXTS.items())
def test_words_of_other_libraries_are_understood_and_what_is_not_about_tls_is_left_alone(text: str, words: str) -> None:
    fault = tls_fault(text)
    assert (fault is None) == (not words)
    assert fault is None or words in fault.what


CALL = """
import grpc, sys
with grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials()) as channel:
    try:
        channel.unary_unary("/spark.connect.SparkConnectService/Config")(b"", timeout=20)
    except grpc.RpcError as error:
        print(error.details())
"""


def test_a_cluster_is_trusted_by_the_variable_that_the_message_names(unknown: Authority) -> None:
    """In a process of its own: it is read once."""
    context = unknown.server_context(HOST)
    context.set_alpn_protocols(["h2"])
    found = []
    with running_tls_server(context) as server:
        for variables in ({}, {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(unknown.file)}):
            command = [sys.executable, "-c", CALL, f"{HOST}:{server.port}"]
            found.append(subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True).stdout)
    assert [tls_fault(text) is None for text in found] == [False, True]


def test_whom_to_trust_is_told_as_each_library_takes_it(unknown: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow what the message of a catalogue says to the letter."""
    with running_tls_server(unknown.server_context(HOST)) as server:
        with pytest.raises(PipelineError, match="Let REQUESTS_CA_BUNDLE name"):
            open_iceberg_catalog(f"https://{HOST}:{server.port}", unknown.folder)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(unknown.file))
        with pytest.raises(PipelineError) as refused:
            open_iceberg_catalog(f"https://{HOST}:{server.port}", unknown.folder)
        assert "certificate" not in refused.value.what


@pytest.mark.skipif(OPENSSL is None, reason="needs the program openssl")
def test_the_command_that_a_message_gives_shows_the_certificate(trusted: Authority) -> None:
    with running_tls_server(trusted.server_context(HOST, until=LONG_AGO)) as server:
        command = UNTOLD.todo.removeprefix("See which: ").replace("HOST:PORT", f"{HOST}:{server.port}")
        shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert "notAfter=Jan  1 00:00:00 2021 GMT" in shown
    assert "issuer=CN = Authority of a test" in shown.replace("CN=", "CN = ")


def test_a_renewed_certificate_is_accepted_by_the_next_call(trusted: Authority) -> None:
    target = Target(kind="postgresql", connection="crm")
    with running_postgres() as uri, running_tls_server(trusted.server_context(HOST, until=LONG_AGO), behind=socket_of(uri)) as server:
        address = f"postgresql://postgres@{HOST}:{server.port}/postgres?sslmode=verify-full&sslrootcert={trusted.file}"
        with pytest.raises(PipelineError, match="has expired"), postgresql_session(address, target):
            pass
        server.context = trusted.server_context(HOST)
        with postgresql_session(address, target) as session:
            assert next(session.texts("SELECT 'x'")) == "x"
