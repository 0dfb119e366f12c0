"""In which language each customer is written to: the one that they name, where cards are written in it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.lake.engines import Engine
from pipeline.publication.targets.customer_profiles import spoken_languages

_WRITTEN = "SELECT DISTINCT language FROM segment_strategies ORDER BY language"
_SAID = """
SELECT COALESCE(stated_language, k.language) AS said, CAST(COUNT(*) AS BIGINT) AS customer_count
FROM customer_features AS f LEFT JOIN crm_contacts AS k ON k.customer_id = f.customer_id
GROUP BY COALESCE(stated_language, k.language) ORDER BY said
"""


def language_names(company: Company, engine: Engine) -> tuple[pa.Table, int]:
    """Return rows of LANGUAGE_NAMES; and how many customers name a language that nothing is written in."""
    written = engine.run(parse_one(_WRITTEN, into=exp.Select, read="duckdb"), {}).read_all()["language"].to_pylist()
    said = engine.run(with_stated_language(parse_one(_SAID, into=exp.Select, read="duckdb"), company), {}).read_all()
    said = said.filter(pc.is_valid(said["said"]))
    texts = said["said"].combine_chunks()
    named = spoken_languages(texts, {company.language, *written}, "")
    is_written = pc.not_equal(named, "")
    rows = pa.table({"said": texts, "language": named}).filter(is_written)
    return rows, pc.sum(said["customer_count"].filter(pc.invert(is_written))).as_py() or 0


def with_stated_language(query: exp.Query, company: Company) -> exp.Query:
    """Return `query` with the attribute that holds a customer's language in the place of `stated_language`, if the company has one."""
    attribute = company.customer_language
    said = exp.column(attribute, "f", quoted=True) if attribute else exp.cast(exp.null(), "VARCHAR")
    return with_columns(query, {"stated_language": said})


def with_columns(query: exp.Query, expressions: dict[str, exp.Expr]) -> exp.Query:
    """Return `query` with expressions in place of the columns of their names."""
    for column in list(query.find_all(exp.Column)):
        if column.name in expressions:
            column.replace(expressions[column.name].copy())
    return query
