"""Installed from its wheel, outside of a checkout and without Airflow, the program checks a company and runs its nights."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packaging.version import Version
from support.deployments import Deployment, a_small_company
from support.nights import write_shop

from pipeline import __version__
from pipeline.definitions.company import PROJECT_ROOT

FOLDERS = ("pipeline", "segments", "expectations", "dags", "plugins")
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE", *FOLDERS)
# What an empty environment lacks: whoever imports it fails.
PROGRAM = "import sys; sys.modules['airflow'] = None; from pipeline.cli import main; main()"
WHERE = "import pipeline.definitions.shipped as found; print(found.__file__, found.SHIPPED)"
SPARK, SPARK_CLIENT = "pyspark", "pyspark-client"  # modules of one name: tests have Spark itself, nights its client
NO_INDEX = re.compile(r"dns error|error sending request|Connection refused|network|timed out", re.IGNORECASE)
UV = Path(sys.executable).with_name("uv")
# As Airflow reads them: from the folder itself, or from a link to it in another.
READ_DAGS = """
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
folder, linked = Path(sys.argv[1]), Path(sys.argv[2])
linked.mkdir()
(linked / "segments").symlink_to(folder)
sys.path.insert(0, str(folder))
for each in (folder, linked):
    bag = BundleDagBag(dag_folder=each, bundle_path=each, bundle_name="dags-folder")
    print("read", len(bag.import_errors), *sorted(bag.dag_ids))
import pipeline
print("read", pipeline.__file__)
"""
BAD_ROW = "x1,1,,2024-03-31 10:00:00,1,5,a"


@dataclass(frozen=True)
class Installation:
    """Where the wheel was unpacked, and a folder that has nothing to do with the checkout."""

    wheel: Path
    packages: Path
    elsewhere: Path

    def run(self, script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        # Without the working folder on the path; the packages before those of the checkout that the tests themselves go by.
        environment = {**os.environ, "PYTHONPATH": str(self.packages)}
        command = [sys.executable, "-P", "-c", script, *map(str, arguments)]
        return subprocess.run(command, cwd=self.elsewhere, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    sources, dist = folder / "sources", folder / "dist"
    sources.mkdir()
    for name in SOURCES:
        source = PROJECT_ROOT / name
        if source.is_dir():
            shutil.copytree(source, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, sources / name)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(dist)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, capture_output=True, timeout=120)
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "packages")
    (folder / "elsewhere").mkdir()
    return Installation(wheel, folder / "packages", folder / "elsewhere")


def test_the_wheel_has_every_file_that_the_program_reads(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as archive:
        names = set(archive.namelist())
    files = [path.relative_to(PROJECT_ROOT) for folder in FOLDERS for path in (PROJECT_ROOT / folder).rglob("*")]
    expected = {
        str(path if path.parts[0] == "pipeline" else Path("pipeline/shipped") / path)
        for path in files
        if (PROJECT_ROOT / path).is_file() and "__pycache__" not in path.parts
    }
    assert sorted(expected - names) == []


def test_airflow_is_an_extra_and_every_other_package_is_declared(installation: Installation) -> None:
    [metadata] = installation.packages.glob("*.dist-info/METADATA")
    needed = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text("utf-8"), re.MULTILINE)
    assert [each for each in needed if "airflow" in each] == ['apache-airflow<3.4,>=3.3; extra == "airflow"']
    declared = {re.split(r"[^A-Za-z0-9_.-]", each)[0].lower().replace("_", "-") for each in needed if "airflow" not in each}
    distributions = packages_distributions()
    for file in (PROJECT_ROOT / "pipeline").rglob("*.py"):
        for name in imported_packages(file) - sys.stdlib_module_names - {"pipeline"}:
            found = {SPARK_CLIENT if each == SPARK else each.lower().replace("_", "-") for each in distributions[name]}
            assert found & declared, f"{file.relative_to(PROJECT_ROOT)} imports {name}, which pyproject.toml does not declare"


def imported_packages(file: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def test_it_goes_by_the_schemes_that_it_brought_along(installation: Installation) -> None:
    file, shipped = installation.run(WHERE).stdout.split()
    assert Path(file).is_relative_to(installation.packages)
    assert Path(shipped) == installation.packages / "pipeline" / "shipped"


def test_a_check_and_a_night_need_no_checkout_and_no_airflow(installation: Installation) -> None:
    orders = [f"o{n},1,c{n % 9},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(1, 60)]
    shop = write_shop(installation.elsewhere / "shop", [*orders, BAD_ROW], customers=[f"c{n}" for n in range(9)])
    checked = installation.run(PROGRAM, "check", "--company", shop)
    assert checked.stdout == "shop has no problem. Checked: company.toml, 2 queries against the source, 18 schemes.\n".replace(
        "shop", str(shop), 1
    )
    night = installation.run(PROGRAM, "run", "--company", shop, "--lake", "lake", "--day", "2024-03-31")
    assert night.returncode == 0, night.stderr
    assert "1 rejected row" in night.stdout  # which Great Expectations finds
    published = pq.read_table(installation.elsewhere / "lake" / "current" / "customer_segments.parquet")
    assert {"rfm", "lifecycle", "value_tier"} <= set(published["scheme"].to_pylist())
    plan = installation.run(PROGRAM, "plan", "--company", shop, "--lake", "lake")
    assert plan.returncode == 0, plan.stderr


def test_airflow_reads_the_dag_files_that_came_along_and_a_link_to_them(installation: Installation, tmp_path: Path) -> None:
    folder = Path(installation.run(PROGRAM, "dags").stdout.strip())
    assert folder == installation.packages / "pipeline" / "shipped" / "dags"
    assert (Path(installation.run(PROGRAM, "dags", "--plugins").stdout.strip()) / "morning_page.py").is_file()
    deployment = Deployment.of(a_small_company(tmp_path / "shop"), tmp_path)
    environment = deployment.environment() | {"PYTHONPATH": str(installation.packages)}
    command = [sys.executable, "-P", "-c", READ_DAGS, str(folder), str(tmp_path / "linked")]
    read = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert read.returncode == 0, read.stderr[-2_000:]
    *found, module = [line.removeprefix("read ") for line in read.stdout.splitlines() if line.startswith("read ")]
    dags = sorted(path.stem for path in (PROJECT_ROOT / "dags").glob("*.py"))
    assert found == [" ".join(["0", *dags])] * 2
    assert Path(module).is_relative_to(installation.packages)


@dataclass(frozen=True)
class EmptyEnvironment:
    """An environment that holds the wheel with what it needs, and nothing of the checkout; commands run in the folder `work`."""

    place: Path
    work: Path

    @classmethod
    def of(cls, installation: Installation, folder: Path, *, extra: str = "") -> EmptyEnvironment:
        place, work = folder / "environment", folder / "work"
        work.mkdir()
        subprocess.run([str(UV), "venv", "--quiet", "--python", sys.executable, str(place)], check=True, timeout=60)
        # Links into the cache that this environment was installed from: no package is copied, and none but its index is looked up.
        options = ["--quiet", "--link-mode", "symlink", "--constraint", str(PROJECT_ROOT / "requirements.txt")]
        command = [str(UV), "pip", "install", "--python", str(place / "bin" / "python"), *options, f"{installation.wheel}{extra}"]
        installed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if installed.returncode and NO_INDEX.search(installed.stderr):
            pytest.skip("no package index within reach")
        assert installed.returncode == 0, installed.stderr[-2_000:]
        return cls(place, work)

    def run(self, program: str, *arguments: str | Path, **variables: str) -> str:
        command = [str(self.place / "bin" / program), *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | variables
        done = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-2_000:]
        return done.stdout

    def packages(self, name: str) -> list[Path]:
        return list(self.place.rglob(f"site-packages/{name}"))


def test_in_an_empty_environment_a_company_is_written_from_an_export_and_its_night_published(
    installation: Installation, tmp_path: Path
) -> None:
    environment = EmptyEnvironment.of(installation, tmp_path)
    lines = [f"{n},ada{n % 9}@shop.example,2024-03-{n % 28 + 1:02},{n}.50" for n in range(1, 60)]
    (environment.work / "orders.csv").write_text("\n".join(["order_id,email,order_date,total", *lines]) + "\n")
    assert environment.run("segments", "--version") == f"customer-segments {__version__}\n"
    environment.run("segments", "init", "my_shop", "--from", "orders.csv", "--set", "currency=USD", "--set", "time_zone=UTC")
    environment.run("segments", "run", "--company", "my_shop", "--lake", "my_lake")
    published = pq.read_table(environment.work / "my_lake" / "current" / "customer_segments.parquet")
    assert len(set(published["customer_id"].to_pylist())) == 9
    assert "nothing to upgrade" in environment.run("segments", "upgrade", "--lake", "my_lake")
    assert not environment.packages("airflow")


def test_in_an_empty_environment_with_airflow_the_dags_and_the_page_of_the_wheel_are_found(
    installation: Installation, tmp_path: Path
) -> None:
    environment = EmptyEnvironment.of(installation, tmp_path, extra="[airflow]")
    deployment = Deployment.of(a_small_company(tmp_path / "shop"), tmp_path)
    variables = {name: value for name, value in deployment.environment().items() if name.startswith(("AIRFLOW", "SEGMENTS"))}
    folder, plugins = (Path(environment.run("segments", "dags", *options).strip()) for options in ([], ["--plugins"]))
    [installed] = environment.place.glob("lib/python*/site-packages/pipeline/shipped/dags/nightly_segments.py")
    assert installed.samefile(folder / installed.name)  # files of packages are links here
    read = environment.run("python", "-P", "-c", READ_DAGS, folder, tmp_path / "linked", **variables)
    dags = sorted(path.stem for path in (PROJECT_ROOT / "dags").glob("*.py"))
    assert read.splitlines().count(" ".join(["read", "0", *dags])) == 2
    listed = environment.run("airflow", "plugins", "--output", "plain", **variables | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins)})
    assert "morning_page" in listed


def test_the_program_says_the_newest_version_of_the_changelog_or_that_it_is_on_the_way_to_the_next(installation: Installation) -> None:
    changelog = (PROJECT_ROOT / "CHANGELOG.md").read_text("utf-8")
    listed = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    versions = [Version(each) for each in listed]
    own = Version(__version__)
    assert installation.wheel.name.startswith(f"customer_segments-{__version__}-")
    assert versions == sorted(versions, reverse=True)
    assert own > versions[0] if own.is_devrelease else own == versions[0]
    assert own.is_devrelease == ("\n### " in changelog.partition("## [Unreleased]")[2].partition("\n## ")[0])
