"""Whether executors of a cluster can run our code to the same bytes: their versions, and what the server does for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.errors import ConfigError
from pipeline.lake.engines.spark_errors import is_server_gone
from pipeline.lake.executors.versions import PROBE, VERSIONS, answer_with_versions, installed_versions

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

OURSELVES = f"customer-segments {__version__}"
INSTALLATION = f"Install what runs nights here, {OURSELVES}, into the Python of the server, and start it again."


def require_equal_versions(session: SparkSession, *, where: str, takes_code: bool) -> dict[str, str]:
    """Return the versions of an executor, once its own are ours: another Python cannot run our code, another pyarrow writes other bytes."""
    from pyspark.errors import PySparkException

    ours = installed_versions()
    try:
        theirs = versions_of_executor(session)
    except PySparkException as error:
        if is_server_gone(error):
            raise
        raise _unable_executors(str(error), ours, where=where, takes_code=takes_code) from None
    wrong = [name for name in ("python", "pyarrow") if theirs.get(name) != ours[name]]
    if wrong:
        found = ", ".join(f"{name} {theirs.get(name, 'missing')} instead of {ours[name]}" for name in wrong)
        todo = "Give executors and this process the same: " + " ".join(f"{name}=={ours[name]}" for name in wrong)
        raise ConfigError(f"executors of Spark have {found}: files would not be the same", where=where, todo=todo)
    if theirs["digest"] != ours["digest"]:
        what = f"executors run another version of this program, which lies in {theirs['code']}"
        raise ConfigError(what, where=where, todo=INSTALLATION)
    return theirs


def _unable_executors(message: str, ours: dict[str, str], *, where: str, takes_code: bool) -> ConfigError:
    if not takes_code and "No module named 'pipeline'" in message:
        what = "the server takes no code from a session, and does not have this program"
        todo = INSTALLATION
    elif "PYTHON_VERSION_MISMATCH" in message or "different version" in message.lower():
        what, todo = "executors of Spark run another version of Python", f"Set PYSPARK_PYTHON of the cluster to a Python {ours['python']}."
    elif "No module named" in message or "ModuleNotFoundError" in message:
        name = message.partition("No module named ")[2].partition("\n")[0].strip(" '\"") or "a package"
        what, todo = (
            f"executors of Spark lack {name}",
            f"Install pyarrow=={ours['pyarrow']} and numpy there, beside Python {ours['python']}.",
        )
    else:
        what = "executors of Spark cannot run our code"
        todo = f"See the log of an executor; it needs Python {ours['python']} with pyarrow=={ours['pyarrow']} and numpy."
    return ConfigError(what, where=where, todo=todo)


def versions_of_executor(session: SparkSession) -> dict[str, str]:
    """Return the versions of an executor by name, and what the server does as Spark does it."""
    from pyspark.sql.pandas.types import from_arrow_schema

    rows = session.range(0, 3, 1, 1).selectExpr(*PROBE).sortWithinPartitions("number", ascending=False)
    return {row["name"]: row["version"] for row in rows.mapInArrow(answer_with_versions, from_arrow_schema(VERSIONS)).collect()}
