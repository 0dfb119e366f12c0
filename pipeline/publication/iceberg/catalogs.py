"""Catalogues of Iceberg tables: how one is opened, and what its errors mean to us."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from pipeline.errors import ConfigError, TransientError
from pipeline.tls import tls_error

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

# Roots of the packages in which a catalogue's errors are defined: whose class lies elsewhere is a mistake of ours.
_PACKAGES: Final = frozenset({"botocore", "pyarrow", "pydantic_core", "pyiceberg", "requests", "sqlalchemy", "thrift", "urllib3"})
_REFUSALS: Final = frozenset({"UnauthorizedError", "ForbiddenError", "OAuthError", "AuthorizationExpiredError"})


@contextmanager
def opened_catalog(name: str, properties: Mapping[str, str], *, metadata: str) -> Iterator[Catalog]:
    """Yield the catalogue that pyiceberg opens by these properties; one in a database puts the tables' metadata below `metadata`.

    Errors within the block are raised as ours, without what they quote: ConfigError where the catalogue cannot be used as it is set,
    TransientError where the same may succeed later.
    """
    where = f"catalogue `{name}` of [publish.iceberg]"
    require_pyiceberg(where)
    from pyiceberg.catalog import load_catalog

    # It warns of each column without statistics, of which it gets none by intention.
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    given = properties if _is_served(properties) else {"warehouse": metadata, **properties}
    with _translating_errors(where), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some quote the catalogue's address, and with it the password
        try:
            catalog = load_catalog(name, **given)
        except (ImportError, ValueError) as error:
            what = f"catalogue `{name}` cannot be opened by its properties: {type(error).__name__}"
            todo = "Set a URI that pyiceberg knows, and install what that kind of catalogue needs: pip install 'pyiceberg[glue]'."
            raise ConfigError(what, where=where, todo=todo) from None
        with closing(catalog):
            yield catalog


def require_pyiceberg(where: str) -> None:
    """Raise ConfigError where pyiceberg is not installed."""
    from importlib.util import find_spec

    if find_spec("pyiceberg") is None:
        todo = "Install it beside the pipeline: pip install 'customer-segments[iceberg]'"
        raise ConfigError("pyiceberg is not installed", where=where, todo=todo)


def _is_served(properties: Mapping[str, str]) -> bool:
    """Return whether a service keeps the catalogue, which knows by itself where metadata belong."""
    return properties.get("type", "sql") != "sql" or properties.get("uri", "").startswith(("http", "thrift"))


@contextmanager
def _translating_errors(where: str) -> Iterator[None]:
    """Raise our errors for those of the catalogue, whose words may quote addresses and secrets."""
    try:
        yield
    except Exception as error:
        kind = type(error)
        if kind.__module__.split(".")[0] not in _PACKAGES and not isinstance(error, OSError):
            raise
        if fault := tls_error(
            "the catalogue, or the store of its files, cannot be reached", error, where=where, trust="REQUESTS_CA_BUNDLE"
        ):
            raise fault from None
        if kind.__name__ in _REFUSALS:
            todo = "Correct its address: the credential, the warehouse, and the rights to create and change tables in the namespace."
            raise ConfigError(f"the catalogue refuses us: {kind.__name__}", where=where, todo=todo) from None
        what = f"the tables of the catalogue are not in step with what is live: {kind.__name__}"
        todo = "What is live stays live. Once the catalogue, and the store of its files, answer again, run again: nothing is read anew."
        raise TransientError(what, where=where, todo=todo) from None
