"""Results of validating a night: stored as a table, read back, and enforced by stopping the night."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import DataError, GateClosed
from pipeline.ingestion.extractions import extraction_rows
from pipeline.ingestion.validation.findings import Findings
from pipeline.ingestion.validation.suites import WARNING, WHOLE_TABLE, RuleResult
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, Version, sorted_by
from pipeline.lake.tables import REJECTED_ROWS, VALIDATION_RESULTS

TOP_RULES = 3
# A warning about more rows than that is about the query rather than about some rows.
MOST_ROWS_SHARE = 0.5
GIVEN = "_is_given"  # how the name of a rule about an empty column ends
CURRENCY_RULE = "currency_is_the_companys"


@dataclass(frozen=True, slots=True)
class ValidationResults:
    """Results of a night.

    `rejected` counts rows set aside as (table, first rule, count); `recovered` are versions that an earlier night left unchecked.
    """

    rule_results: Sequence[RuleResult] = ()
    rejected: Sequence[tuple[str, str, int]] = ()
    recovered: Sequence[Version] = ()


def results_of_findings(findings: Sequence[Findings], recovered: Sequence[Version]) -> ValidationResults:
    """Return findings in the form in which they are stored."""
    rejected = [(found.table.name, rule, count) for found in findings for rule, count in found.tally.rejected.items()]
    return ValidationResults([row for found in findings for row in found.results()], sorted(rejected), recovered)


def stored_results(lake: Lake, day: date, *, known_on: date | None = None) -> ValidationResults:
    """Return the stored results of a night; empty ones before it was validated."""
    if not lake.has(VALIDATION_RESULTS, day=day, known_on=known_on):
        return ValidationResults()
    facts = lake.manifest(addresses.partition(VALIDATION_RESULTS, day=day, known_on=known_on))
    recovered = [Version(date.fromisoformat(of), date.fromisoformat(known_on)) for of, known_on in facts["recovered"]]
    return ValidationResults(
        lake.read(VALIDATION_RESULTS, day=day, known_on=known_on).to_pylist(), [tuple(entry) for entry in facts["rejected"]], recovered
    )


def store_results(lake: Lake, day: date, results: ValidationResults, *, known_on: date | None = None) -> None:
    """Write the results of a night, replacing earlier ones."""
    rows = pa.Table.from_pylist(list(results.rule_results), schema=VALIDATION_RESULTS.schema)
    manifest = {"rejected": results.rejected, "recovered": [(version.day, version.known_on) for version in results.recovered]}
    lake.write(VALIDATION_RESULTS, sorted_by(rows, VALIDATION_RESULTS.key).to_batches(), day=day, known_on=known_on, manifest=manifest)


def stop_where_broken(lake: Lake, day: date, broken: Sequence[RuleResult]) -> None:
    """Raise DataError naming every critical rule that stops the night: `broken` are the results of those."""
    if broken:
        raise DataError(
            "; ".join(f"{row['source_table']} breaks `{row['rule']}` on {day}: {_count_words(row)}" for row in broken),
            where=lake.where(addresses.validation_page(day)),
            todo="Mend the source, or the rule in expectations/<table>.json, then run the night again with --reread.",
        )


def warnings_of_most_rows(lake: Lake, day: date, results: Iterable[RuleResult]) -> Iterator[str]:
    """Yield a sentence for each warning that more than MOST_ROWS_SHARE of a table's rows give, among the `results` of a night.

    The log and the summary tell these, since most people never open the page where the others stand too.
    """
    given = {row["source_table"]: (row["given_columns"] or "").split(",") for row in extraction_rows(lake, day)}
    for row in results:
        checked, failed = row["checked_count"], row["failed_count"]
        # That a column is empty which the query does not give is no news.
        is_news = not row["rule"].endswith(GIVEN) or row["rule"].removesuffix(GIVEN) in given.get(row["source_table"], ())
        if row["severity"] == WARNING and failed > MOST_ROWS_SHARE * checked and is_news:
            yield f"{row['source_table']}: {failed:,} of {checked:,} rows break `{row['rule']}`, a warning"


def stop_where_too_many_rejected(company: Company, lake: Lake, day: date, findings: Sequence[Findings]) -> None:
    """Raise GateClosed naming every table of which more rows were set aside than the company allows."""
    crowded = [found for found in findings if not found.is_within_limit()]
    if crowded:
        raise GateClosed(
            "; ".join(
                f"{found.tally.rejected_share:.2%} of {found.tally.checked:,} rows of {found.table.name} were set aside on {day}, "
                f"above the limit of {found.rejected_share_limit:.2%}: {_top_rules(found)}"
                f"{_currency_words(lake, day, found, company.currency)}"
                for found in crowded
            ),
            where=lake.where(addresses.validation_page(day)),
            todo="Mend the source, or raise `rejected_share_limit` in company.toml under [gates], then run the night again with --reread; "
            f'or let it pass: segments run --day {day} --override-gate rejected --reason "..."{command_options(company, lake)}',
        )


def _count_words(row: RuleResult) -> str:
    rows = f"{row['checked_count']:,} rows"
    return f"{rows} were checked" if row["rule"].startswith(WHOLE_TABLE) else f"{row['failed_count']:,} of {rows} broke it"


def _top_rules(found: Findings) -> str:
    top = sorted(found.tally.rejected.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{rule} {count:,}" for rule, count in top[:TOP_RULES])


def _currency_words(lake: Lake, day: date, found: Findings, currency: str) -> str:
    """Return which currencies the lines have that were set aside for theirs: codes with counts, and a remedy where only case differs."""
    if CURRENCY_RULE not in found.tally.rejected:
        return ""
    rows = lake.read(REJECTED_ROWS, day=day).select(["source_table", "rule", "row"]).to_pylist()
    texts = [row["row"] for row in rows if (row["source_table"], row["rule"]) == (found.table.name, CURRENCY_RULE)]
    counts = Counter(_currency_code(json.loads(text)["currency"]) for text in texts)
    named = ", ".join(f"{code} {count:,}" for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP_RULES])
    is_case_alone = all(code.upper() == currency for code in counts)
    return f"; found were {named}, not {currency}{': write UPPER(currency) AS currency in the query' if is_case_alone else ''}"


def _currency_code(text: str) -> str:
    """Return a text that may be a code; any other is a value of the source, and not shown."""
    return text if re.fullmatch("[A-Za-z]{3}", text) else "other texts"
