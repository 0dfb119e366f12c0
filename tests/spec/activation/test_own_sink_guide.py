"""The sink that the guide shows is whole: it is taken from the page, and syncs with a server that answers as the page says."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from support.crm_stubs import Contacts, serving
from support.deployments import REPO

from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, finish_erasures
from pipeline.operations.sync import sync_sinks

PAGE = REPO / "docs" / "guides" / "own-sink.md"
STRANGE = ("ann#2", "ann?x=1", "x/y", "p,q", "50%25", "ქეთი é")  # ids that are no words of an address
CODE = re.compile(r"```(?:python|toml)\n# file: (?P<name>\S+)\n(?P<text>.*?)```", re.DOTALL)


def test_the_sink_of_the_guide_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {Path(found["name"]).name: found["text"] for found in CODE.finditer(PAGE.read_text("utf-8"))}
    (tmp_path / "acme_crm.py").write_text(files["acme_crm.py"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_crm", raising=False)
    company = write_crm_company(tmp_path / "company", acme=files["acme.toml"])
    server = Contacts()
    server.held["ann"] = {"id": "ann", "labels": ["golf", "seg:old"], "full_name": "Ann, by hand"}
    with serving(server):
        deployment = Deployment.of(company, tmp_path / "lake", connections=lambda _: server.address)
        publish_people(
            deployment.lake,
            [Person("ann", name="ANN"), Person("bob", audiences=("vip",), name="Bob", email="b@example.org"), *map(Person, STRANGE)],
        )
        [report] = sync_sinks(deployment)
        assert report.written_count == 2 + len(STRANGE)
        assert server.held["ann"] == {
            "id": "ann",
            "labels": ["golf", "seg:lifecycle.active"],
            "full_name": "Ann, by hand",
            "stage": "active",
        }
        assert server.held["bob"]["labels"] == ["seg:lifecycle.active", "seg:vip"]
        assert (server.held["bob"]["full_name"], server.held["bob"]["mail"]) == ("Bob", "b@example.org")
        [again] = sync_sinks(deployment, is_full=True)
        assert again.plan.count == 0
        people = [Person("ann"), Person("bob", is_consenting=False), *map(Person, STRANGE)]
        publish_people(deployment.lake, people, day=date(2024, 3, 2))
        list(sync_sinks(deployment))
        assert server.held["bob"]["labels"] == []
        assert {name: server.held[name]["id"] for name in STRANGE} == {name: name for name in STRANGE}
        erase_customers(deployment, ["ann", *STRANGE])
        assert set(server.held) == {"bob"}
        server.held.clear()
        erase_customers(deployment, ["bob"])
        assert list(finish_erasures(deployment)) == []
