"""No connection to a server whose certificate is over, of another host or of an unknown signer, or that has no TLS; and why is said."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from support.certificates import LONG_AGO, Authority
from support.opened_connections import OPENED
from support.postgres import running_postgres, socket_of
from support.tls_servers import running_tls_server

from pipeline.definitions.company_sections import Target
from pipeline.errors import PipelineError
from pipeline.publication.targets.postgresql import postgresql_session
from pipeline.tls import tls_error

HOST = "localhost"
FAULTS: Mapping[str, Callable[[Authority, Authority], ssl.SSLContext | None]] = {
    "its certificate has expired": lambda trusted, _: trusted.server_context(HOST, until=LONG_AGO),
    "its certificate is of another host": lambda trusted, _: trusted.server_context("db.example.com"),
    "signed by nobody whom": lambda _, unknown: unknown.server_context(HOST),
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
    # What PostgreSQL's own library says of a certificate is the same for both.
    both = "its certificate has expired, or is signed by nobody whom"
    assert (both if kind.startswith("postgresql") and fault in both else fault) in refused.value.what
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


def test_a_renewed_certificate_is_accepted_by_the_next_call(trusted: Authority) -> None:
    target = Target(kind="postgresql", connection="crm")
    with running_postgres() as uri, running_tls_server(trusted.server_context(HOST, until=LONG_AGO), behind=socket_of(uri)) as server:
        address = f"postgresql://postgres@{HOST}:{server.port}/postgres?sslmode=verify-full&sslrootcert={trusted.file}"
        with pytest.raises(PipelineError, match="has expired"), postgresql_session(address, target):
            pass
        server.context = trusted.server_context(HOST)
        with postgresql_session(address, target) as session:
            assert next(session.texts("SELECT 'x'")) == "x"
