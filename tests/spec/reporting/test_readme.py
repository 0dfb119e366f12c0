"""README and the documentation are true: examples run as written, commands parse, and README stays short."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
import typer.main
import yaml
from markdown.extensions.toc import slugify
from support.nights import run_night
from typer._click.core import Command
from typer.core import TyperGroup

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake

README, DOCS = PROJECT_ROOT / "README.md", PROJECT_ROOT / "docs"
PAGES = [README, PROJECT_ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
OUTSIDE = [PROJECT_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
FILES = re.compile(r"```\w+\n(?:#|--) file: (?P<path>\S+)\n(?P<text>.*?)```", re.DOTALL)
SHELL = re.compile(r"```(?:sh|bash)\n(?P<text>.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#]+)(?:#(?P<anchor>[^)]+))?\)")
NAME = re.compile(r"`(_?[A-Z][A-Z_]{2,}|[A-Z][a-z]+(?:[A-Z][a-z]+)+)`")  # a constant or a class
CODE = ("pipeline", "dags", "local", "tests", "benchmarks")
AVOIDED = {"NTILE"}  # what pages tell not to use
PATH = re.compile(r"`((?:[a-z_]+/)+[a-z_-]*(?:\.[a-z]+)?)`")
INLINE = re.compile(r"`((?:segments|make) [^`]+)`")
NIGHT = date(2024, 3, 31)
PROGRAM = typer.main.get_command(app)
COMMANDS = typer.main.get_group(app).commands
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (PROJECT_ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def write_company(folder: Path, *pages: Path) -> Path:
    """Write the files that pages show, later ones over earlier ones, and return the company's folder."""
    for page in pages:
        for found in FILES.finditer(page.read_text("utf-8")):
            path = folder / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found["text"], "utf-8")
    return folder / "my_shop"


def segments_of(company: Path, lake: Lake) -> dict[tuple[str, str], str]:
    run_night(company, lake, NIGHT)
    rows = pd.read_parquet(lake.root / "current" / "customer_segments.parquet").to_dict("records")
    return {(row["scheme"], row["customer_id"]): row["segment"] for row in rows}


def test_the_company_of_the_guide_runs_as_written_and_its_wine_club_decides(tmp_path: Path, lake: Lake) -> None:
    company = write_company(tmp_path, DOCS / "get-started" / "your-company.md", DOCS / "guides" / "segments.md")
    found = segments_of(company, lake)
    assert {customer for _, customer in found} == {"1", "2", "3"}
    assert found["rfm", "3"] == "prospects"
    assert [found["wine_club", customer] for customer in "123"] == ["invited", "others", "others"]


def test_the_company_of_readme_runs_as_written_on_the_data_of_the_guide(tmp_path: Path, lake: Lake) -> None:
    company = write_company(tmp_path, DOCS / "get-started" / "your-company.md", README)
    found = segments_of(company, lake)
    assert found["rfm", "3"] == "prospects"
    assert [found["wine_club", customer] for customer in "123"] == ["invited", "invited", "others"]


def test_readme_is_read_in_three_minutes() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_command_on_a_page_parses(page: Path) -> None:
    for words in commands_of(page.read_text("utf-8")):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= TARGETS, words
        elif words[1] != "--help":
            command, given = command_of(words)
            command.make_context(words[1], given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_command_within_a_sentence_exists_with_its_options(page: Path) -> None:
    for text in INLINE.findall(page.read_text("utf-8")):
        words = shlex.split(text)
        if words[0] == "make":
            assert words[1] in TARGETS, text
        elif words[1] != "COMMAND":
            command = PROGRAM if words[1].startswith("--") else command_of(words)[0]
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            assert {word for word in words[1:] if word.startswith("--")} <= known, text


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_link_outside_the_site_leads_somewhere(page: Path) -> None:
    """Links of the site itself are checked by `make docs`."""
    for found in LINK.finditer(page.read_text("utf-8")):
        target = page.parent / found["target"]
        assert target.exists(), found.group()
        headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE) if found["anchor"] else []
        assert not found["anchor"] or found["anchor"] in {slugify(heading, "-") for heading in headings}, found.group()


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE[2:]], ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_every_address_elsewhere_is_whole_and_encrypted(page: Path) -> None:
    """Nobody is asked whether it answers: tests do without the network."""
    for address in re.findall(r"\]\((\w+:[^)]*)\)", page.read_text("utf-8")):
        parts = urlsplit(address)
        assert parts.scheme in {"https", "mailto"}, address
        assert parts.scheme == "mailto" or re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), address


def test_every_message_that_troubleshooting_quotes_is_one_of_ours() -> None:
    page = (DOCS / "operate" / "troubleshooting.md").read_text("utf-8")
    quoted = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    code = "\n".join(file.read_text("utf-8") for folder in ("pipeline", "local") for file in (PROJECT_ROOT / folder).rglob("*.py"))
    code += (PROJECT_ROOT / "Makefile").read_text("utf-8")
    assert len(quoted) >= 10
    for message in set(quoted) - {"command not found: segments"}:  # the shell's own
        parts = [part.strip() for part in message.removeprefix("my_shop ").split("...")]
        assert [part for part in parts if part not in code] == [], message


@pytest.mark.parametrize("page", [PROJECT_ROOT / "CONTRIBUTING.md", *sorted((DOCS / "develop").glob("*.md"))], ids=lambda page: page.stem)
def test_every_path_that_a_developer_reads_is_there(page: Path) -> None:
    for path in PATH.findall(page.read_text("utf-8")):
        assert any(list(root.glob(path)) for root in (PROJECT_ROOT, PROJECT_ROOT / "pipeline")), path


@pytest.mark.parametrize("page", [PROJECT_ROOT / "CONTRIBUTING.md", *sorted((DOCS / "develop").glob("*.md"))], ids=lambda page: page.stem)
def test_every_class_and_constant_that_a_developer_reads_of_is_in_the_code(page: Path) -> None:
    code = "\n".join(file.read_text("utf-8") for folder in CODE for file in (PROJECT_ROOT / folder).rglob("*.py"))
    named = set(NAME.findall(page.read_text("utf-8"))) - AVOIDED
    assert sorted(name for name in named if not re.search(rf"\b{name}\b", code)) == []


def command_of(words: list[str]) -> tuple[Command, list[str]]:
    """Return the command that words name, which may be one of a group, and the words after its name."""
    command: Command = COMMANDS[words[1]]
    if isinstance(command, TyperGroup):
        return command.commands[words[2]], words[3:]
    return command, words[2:]


def test_every_command_of_a_workflow_parses() -> None:
    page = (DOCS / "guides" / "pull-requests.md").read_text("utf-8")
    [workflow] = yaml.safe_load_all(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    called = [shlex.split(words) for script in scripts for words in re.findall(r"\bsegments (?:check|plan|apply)[ \w-]*", script)]
    assert {words[1] for words in called} == {"check", "plan", "apply"}
    for words in called:
        command, given = command_of(words)
        command.make_context(words[1], [*given, *(["PLAN"] if words[1] == "apply" else [])])


def commands_of(page: str) -> Iterator[list[str]]:
    """Yield the words of each line in a shell block that calls us, without what the shell makes of the rest."""
    for block in SHELL.finditer(page):
        for line in block["text"].splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].removeprefix(".venv/bin/") in ("segments", "make"):
                yield words[: words.index(">")] if ">" in words else words


def test_make_run_takes_the_lake_and_the_company_that_are_exported_unless_it_is_given_others() -> None:
    exported = {"PATH": os.environ["PATH"], "SEGMENTS_LAKE": "s3://lake/segments", "SEGMENTS_COMPANY": "my_shop"}
    for arguments, options in {
        (): "--company 'my_shop' --lake 's3://lake/segments'",
        ("LAKE=here",): "--company 'my_shop' --lake 'here'",
    }.items():
        shown = subprocess.run(
            ["make", "-n", "run", *arguments], cwd=PROJECT_ROOT, env=exported, capture_output=True, check=True, text=True
        )
        assert options in shown.stdout
