"""Processes that have Airflow loaded from their start: forks of one that loads it once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from support.dag_runs import Facts, facts_of
from support.deployments import REPO, Deployment, airflow_home

SERVER = REPO / "tests" / "dags" / "fork_airflow.py"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class AirflowForks:
    """The process that is forked, and the folder that its forks write to."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, *command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run what follows the name of Python, a script or a module, in an Airflow of its own; return how it ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        files = [self.folder / f"{next(_NUMBERS)}.{name}" for name in ("out", "err")]
        request = {"command": command, "environment": dict(environment), "output": [*map(str, files)]}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, (self.folder / "server.log").read_text()[-3_000:]
        out, err = (file.read_text() for file in files)
        return subprocess.CompletedProcess(command, int(answer), out, err)

    def run_script(self, script: Path, deployment: Deployment, found: Path, *arguments: str) -> Facts:
        """Run `script` in the deployment's Airflow and return what it wrote to `found`; no customer may be in what it printed."""
        run = self.run(str(script), str(found), *arguments, environment=deployment.environment())
        return facts_of(run, found)

    def run_night(self, deployment: Deployment, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a night by the launcher that people use."""
        command = ("-m", "local.run_night", *deployment.options, *options)
        return self.run(*command, environment=deployment.environment() | variables)


@contextmanager
def airflow_forks(folder: Path) -> Iterator[AirflowForks]:
    """Yield what forks processes that have Airflow loaded, until the block ends."""
    environment = airflow_home.airflow_environment(company=folder, lake=folder / "lake", home=folder / "airflow")
    environment |= {"AIRFLOW__CORE__DAGS_FOLDER": str(SERVER.with_name("warm_dags"))}
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, str(SERVER)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        yield AirflowForks(process, folder)
        assert process.stdin is not None
        process.stdin.close()
