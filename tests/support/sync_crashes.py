"""Syncs whose client, or whose CRM, is killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipeline.operations.deployment import Deployment
from support.deployments import REPO
from support.tryton import Tryton

SYNC = "from pipeline.cli import main; main()"
LONGEST_SECONDS = 900


def sync_under_kills(deployment: Deployment, crm: Tryton, folder: Path, *, clients: int, crms: int, seed: int) -> None:
    """Sync with as many kills of client and CRM as asked for, at moments that `seed` decides; then let one sync end by itself."""
    dice = random.Random(seed)
    victims = ["client"] * clients + ["crm"] * crms
    dice.shuffle(victims)
    client = None
    for victim in victims:
        if client is None or client.poll() is not None:
            client = _start_client(deployment, crm, folder)
        # Half a second is what the client needs to get to work.
        time.sleep(0.5 + dice.uniform(0, 2.5))
        if victim == "client":
            os.killpg(client.pid, signal.SIGKILL)
            client.wait()
        else:
            crm.kill()
            crm.start()
    if client is None or client.poll() is not None:
        client = _start_client(deployment, crm, folder)
    assert client.wait(LONGEST_SECONDS) == 0, (folder / "client.log").read_text()


def _start_client(deployment: Deployment, crm: Tryton, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"SEGMENTS_CONNECTION_CRM": crm.address, "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-c", SYNC, "sync", "--company", str(deployment.company.folder), "--lake", str(deployment.lake.root)]
    with (folder / "client.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
