"""Files of a company's folder: whatever one of them says, a check ends, and what it lets pass loads as a night loads it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

from fuzzing.target import Fault, Outcome, Target, kind_of_message, require_message, result_or_message
from pipeline.definitions import company, translations
from pipeline.definitions.audiences.loading import load_audiences
from pipeline.definitions.campaigns import load_campaigns
from pipeline.definitions.company import Company, load_company
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.definitions.sinks import load_sinks
from pipeline.operations.check import check_company
from pipeline.operations.check import schemes as checked_schemes
from pipeline.operations.check import settings as checked_settings
from pipeline.operations.check.json import to_json
from pipeline.operations.check.view import check_lines

REPO = Path(__file__).resolve().parents[2]
FILES = {
    "company": "company.toml",
    "segments": "segments/fuzzed.toml",
    "clusters": "segments/behaviour_clusters.toml",
    "audiences": "audiences/fuzzed.toml",
    "features": "features/fuzzed.toml",
    "campaigns": "campaigns/fuzzed.toml",
    "sinks": "sinks/fuzzed.toml",
    "translations": "segments/translations/de/rfm.toml",
    "lists": "lists/coast.csv",
    "suites": "expectations/raw_customers.json",
    "queries": "sources/order_lines.sql",
}
COMPANY = """name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
[source]
path = "data"
[attributes.city]
level = "geographic"
[attributes.birthday]
level = "demographic"
kind = "date"
pii = true
[attributes.yearly_income]
level = "demographic"
kind = "money"
[events.email]
title = "E-mails"
key = ["message_id", "customer_id", "happened_at"]
instant = "happened_at"
[events.email.columns]
message_id = "text"
links = "integer"
cost = "money"
"""
OTHERS = {
    "sources/email.sql": "SELECT 1 AS x",
    "sources/visits.sql": "SELECT 1 AS x",
    "sources/customers.sql": "SELECT CAST(id AS VARCHAR) AS customer_id, city, birthday, yearly_income FROM customers",
    "lists/coast.csv": "Hamburg\nKiel\n",
    "audiences/vip.toml": 'title = "VIP"\npurpose = "Parties."\nowner = "crm@example.org"\nrule = "spend_amount > 100"\n',
}
LISTS = ("city\nHamburg\nKiel\n", '"Bad Doberan"\n"a ""b"""\n')


def run_definition(name: str, data: bytes) -> Outcome:
    """Put `data` in the place of one file of a company, and check and load the company."""
    folder = _folder()
    file = folder / FILES[name]
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    try:
        with _few_shipped_schemes():
            return _run_definition(name, folder)
    finally:
        file.unlink()
        if before is not None:
            file.write_bytes(before)


def _run_definition(name: str, folder: Path) -> Outcome:
    found, outcome = check_company(folder, with_source=False), Outcome()
    require_message("".join(check_lines(found)), "each has its own")
    to_json(found)
    for problem in found.problems:
        require_message(problem.what, problem.remedy)
    with result_or_message(outcome):
        _load(load_company(folder))
    if not found.problems and not outcome.is_accepted:
        raise Fault("the check finds nothing wrong, and a night would stop")
    if found.problems and outcome.is_accepted and name not in _CHECKED_FURTHER:
        raise Fault(f"the check finds faults with what a night would load: {found.problems}")
    outcome.is_accepted = not found.problems
    outcome.words += [kind_of_message(problem.what) for problem in found.problems]
    return outcome


# What a night reads by other steps than those that load definitions.
_CHECKED_FURTHER = ("company", "translations", "lists", "suites", "queries", "sinks", "campaigns")


def _load(loaded: Company) -> None:
    load_schemes(loaded)
    load_cluster_schemes(loaded)
    load_audiences(loaded)
    load_campaigns(loaded)
    load_sinks(loaded)


@contextmanager
def _few_shipped_schemes() -> Iterator[None]:
    """Let few schemes come with the program during the block: proving all of ours takes a second, whatever is fuzzed."""
    with ExitStack() as patches:
        for module in (company, translations, checked_schemes, checked_settings):
            patches.enter_context(patch.object(module, "SHIPPED", _shipped()))
        yield


@cache
def _shipped() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="shipped-"))
    for name in ("segments/rfm.toml", "segments/behaviour_clusters.toml", "segments/translations/de/rfm.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, folder / name)
    shutil.copytree(REPO / "expectations", folder / "expectations")
    return folder


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzzed-"))
    for name, text in {"company.toml": COMPANY, "data/customers.csv": "id\n1\n", **OTHERS, "sources/order_lines.sql": QUERY}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


QUERY = (REPO / "examples" / "online_retail" / "sources" / "order_lines.sql").read_text("utf-8")


def seeds_of(name: str) -> Sequence[bytes]:
    """Return files of this kind: ours, those of the examples, and those that the pages show."""
    folder = FILES[name].partition("/")[0]
    shown = [
        text
        for page in sorted(REPO.glob("docs/**/*.md"))
        for text in re.findall(r"```(?:toml|sql|csv)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        if re.search(rf"# file: \S*{folder}/", text) or (name in ("company", "features") and "# file" not in text and "[" in text)
    ]
    patterns = {
        "company": ["examples/*/company.toml", "benchmarks/shop/company.toml"],
        "segments": ["segments/*.toml", "examples/*/segments/*.toml"],
        "clusters": ["segments/behaviour_clusters.toml", "benchmarks/shop/segments/*.toml"],
        "translations": ["segments/translations/*/*.toml"],
        "suites": ["expectations/*.json"],
        "queries": ["examples/*/sources/*.sql"],
    }
    files = [file for pattern in patterns.get(name, ()) for file in sorted(REPO.glob(pattern))]
    own = {"company": [COMPANY], "lists": LISTS, "audiences": [OTHERS["audiences/vip.toml"]]}.get(name, ())
    return [text.encode() for text in (*own, *(file.read_text("utf-8") for file in files), *shown)]


@cache
def words() -> Sequence[str]:
    """Return the words of all these files."""
    text = b"\n".join(seed for name in FILES for seed in seeds_of(name)).decode()
    return sorted({*re.findall(r"\w+", text), *re.findall(r'"[^"\n]{1,80}"', text)})


def _targets() -> tuple[Target, ...]:
    every: Callable[[str], Target] = lambda name: Target(name, partial(run_definition, name), partial(seeds_of, name), words())  # noqa: E731
    return tuple(map(every, FILES))


DEFINITION_TARGETS = _targets()
