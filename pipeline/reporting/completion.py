"""What a shell offers while somebody types a command: the company's schemes, audiences, segments, features, and words of rules.

Each function returns words with what they mean, in order; nothing of a customer is among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.definitions.aggregate_words import EXISTS, FUNCTIONS
from pipeline.definitions.audiences import MEMBER
from pipeline.definitions.campaigns import campaign_names
from pipeline.definitions.company import Company, load_company
from pipeline.definitions.gate_limits import GATES
from pipeline.definitions.rules import PREDICTIONS
from pipeline.definitions.rules.functions import FUNCTIONS as RULE_FUNCTIONS
from pipeline.definitions.schemes.cluster_scheme import KIND as CLUSTERS
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX, segments_defined
from pipeline.definitions.sinks import sink_names
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_ID

# What may stand where a word of a rule begins, beside names.
KEYWORDS = (
    "AND",
    "OR",
    "NOT",
    "IS",
    "IN",
    "IN LIST",
    "IN AUDIENCE",
    "BETWEEN",
    "NULL",
    "TRUE",
    "FALSE",
    "TODAY",
    "WAS IN",
    "DISTINCT",
    "WHERE",
    "FOLLOWED BY",
    "PRECEDED BY",
    "PRECEDED BY FIRST",
    "OF THE SAME",
    "WITHIN",
    "LATEST",
    "LAST",
    "THIS",
    "BEFORE",
    "DAY",
    "DAYS",
    "DAYS AGO",
    "WEEK",
    "WEEKS",
    "MONTH",
    "QUARTER",
    "YEAR",
)
_LAST_WORD = re.compile(r"[\w.]*$")

Words = dict[str, str]


def scheme_words(folder: Path) -> Words:
    """Return the schemes and the audiences of the company in `folder`, by name."""
    return _titles(load_company(folder), "segments", "audiences")


def cluster_words(folder: Path) -> Words:
    """Return the schemes of clusters by name."""
    contents = {name: definition.toml() for name, definition in load_company(folder).definitions("segments", ".toml").items()}
    return {name: _title(content) for name, content in contents.items() if content.get("kind") == CLUSTERS}


def segment_words(folder: Path, scheme: str) -> Words:
    """Return the segments that the file of a scheme defines, by id; those of an audience, and none of a scheme that names none."""
    return _segments(load_company(folder), scheme)


def lineage_words(folder: Path) -> Words:
    """Return what lineage is told of: features, schemes and their segments."""
    company = load_company(folder)
    schemes = _titles(company, "segments", "audiences")
    segments = {f"{name}.{segment}": title for name in schemes for segment, title in _segments(company, name).items()}
    return {**_features(company), **schemes, **segments}


def sink_words(folder: Path) -> Words:
    """Return the sinks by name."""
    return dict.fromkeys(sink_names(load_company(folder)), "")


def campaign_words(folder: Path) -> Words:
    """Return the campaigns of the company's files by name."""
    return dict.fromkeys(campaign_names(load_company(folder)), "")


def gate_words() -> Words:
    """Return the gates by name."""
    return dict.fromkeys(GATES, "")


def rule_words_after(folder: Path, text: str) -> Words:
    """Return `text`, the beginning of a rule, with each word that may take the place of its last one."""
    company, found = load_company(folder), _LAST_WORD.search(text)
    last = found.group() if found else ""
    before, (scheme, dot, _) = text[: len(text) - len(last)], last.partition(".")
    words = _words_of_scheme(company, scheme) if dot else _words_of_rules(company)
    # Functions and keywords may be typed in small letters; a shell takes only what begins as it was typed.
    as_typed = {(word if word.startswith(last) else word.lower()): meaning for word, meaning in words.items()}
    return {before + word: meaning for word, meaning in as_typed.items() if word.startswith(last)}


def _words_of_scheme(company: Company, scheme: str) -> Words:
    own = {f"{scheme}.{segment}": title for segment, title in _segments(company, scheme).items()}
    return {f"{scheme}{SEGMENT_SUFFIX}": "the segment tonight", **own}


def _words_of_rules(company: Company) -> Words:
    return {
        **_features(company),
        **dict.fromkeys(PREDICTIONS, "predicted"),
        **{f"{name}{SEGMENT_SUFFIX}": title for name, title in _titles(company, "segments").items()},
        **{f"{name}(": each.meaning for name, each in RULE_FUNCTIONS.items()},
        **{f"{name}(": "of what customers did" for name in (*FUNCTIONS, EXISTS)},
        **dict.fromkeys(company.event_sources, "what customers did"),
        **_titles(company, "audiences"),
        **dict.fromkeys(company.list_files(), "a list"),
        **dict.fromkeys(KEYWORDS, ""),
    }


def _features(company: Company) -> Words:
    columns = (column for column in company.table(CUSTOMER_FEATURES).columns if column.name != CUSTOMER_ID.name)
    return {column.name: column.description for column in columns}


def _titles(company: Company, *folders: str) -> Words:
    definitions = {name: definition for folder in folders for name, definition in company.definitions(folder, ".toml").items()}
    return {name: _title(definition.toml()) for name, definition in definitions.items()}


def _segments(company: Company, scheme: str) -> Words:
    if scheme in company.definitions("audiences", ".toml"):
        return {MEMBER: "who is in the audience"}
    definition = company.definitions("segments", ".toml").get(scheme)
    named = (segments_defined(definition.toml()) if definition else None) or {}
    titles = {segment: title for title, segment in named.items() if title != segment}
    return {segment: titles.get(segment, "") for segment in dict.fromkeys(named.values())}


def _title(content: Mapping[str, object]) -> str:
    title = content.get("title")
    return title if isinstance(title, str) else ""
