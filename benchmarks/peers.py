"""The features of `sql/features_by_hand.sql`, from the order lines, by what people use without us."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import sqlglot

SQL = Path(__file__).parent / "sql"
COLUMNS = ["customer_id", "order_day", "order_id", "net_amount", "discount_amount", "category", "channel", "line_kind"]
OUTPUT = "features.parquet"


def read_columns(lake: Path) -> None:
    """Decode every value of the eight columns, and keep none: the least that any engine has to do."""
    with _duckdb(lake) as connection:
        connection.sql(f"SELECT {', '.join(f'MAX({name})' for name in COLUMNS)} FROM order_lines").fetchall()


def duckdb_by_hand(lake: Path, out: Path, memory_limit: str = "3GB") -> None:
    """Run the statement in DuckDB with memory capped."""
    with _duckdb(lake) as connection, TemporaryDirectory(dir=out) as spill:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET memory_limit = '{memory_limit}'")
        connection.execute(f"SET temp_directory = '{spill}'")
        connection.execute(f"COPY ({_statement()}) TO '{out / OUTPUT}' (FORMAT parquet, COMPRESSION zstd)")


def spark_by_hand(lake: Path, out: Path) -> None:
    """Run the statement, transpiled, in a local Spark."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": "6g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.read.option("recursiveFileLookup", "true").parquet(str(lake / "tables" / "order_lines")).createOrReplaceTempView("order_lines")
    session.sql(sqlglot.transpile(_statement(), read="duckdb", write="spark")[0]).write.parquet(str(out / "spark"))
    java = session.sparkContext._gateway.proc  # noqa: SLF001
    session.stop()
    java.terminate()
    java.wait()


def polars_by_hand(lake: Path, out: Path) -> None:
    """Run the same in Polars, streaming."""
    lines = pl.scan_parquet(_files(lake), hive_partitioning=False).select(COLUMNS).filter(pl.col("line_kind") != "cancelled")
    sold = lines.filter(pl.col("line_kind") == "order")
    totals = sold.group_by("customer_id").agg(
        first_order_date=pl.col("order_day").min(),
        last_order_date=pl.col("order_day").max(),
        order_day_count=pl.col("order_day").n_unique(),
        order_count=pl.col("order_id").n_unique(),
        line_count=pl.len(),
        discount_share=(pl.col("discount_amount") > 0).mean(),
    )
    money = lines.group_by("customer_id").agg(
        spend_amount=pl.col("net_amount").sum(),
        refund_amount=-pl.col("net_amount").filter(pl.col("line_kind") == "refund").sum(),
    )
    days = sold.select("customer_id", "order_day").unique().sort("customer_id", "order_day")
    gap = pl.col("order_day").diff().dt.total_days()
    gaps = days.group_by("customer_id", maintain_order=True).agg(
        weekend_share=(pl.col("order_day").dt.weekday() >= 6).mean(),
        gap_mean_days=gap.mean(),
        gap_deviation_days=gap.std(),
        gap_median_days=gap.median(),
    )
    categories = sold.group_by("customer_id", "category").agg(
        day_count=pl.col("order_day").n_unique(), line_count=pl.len(), amount=pl.col("net_amount").sum()
    )
    best = ["customer_id", "day_count", "amount", "category"]
    mix = (
        categories.sort(best, descending=[False, True, True, False])
        .group_by("customer_id", maintain_order=True)
        .agg(
            category_count=pl.len(),
            favourite_category=pl.col("category").first(),
            category_concentration=(pl.col("line_count") ** 2).sum() / pl.col("line_count").sum() ** 2,
        )
    )
    channels = sold.group_by("customer_id", "channel").agg(lines=pl.len())
    main = (
        channels.sort(["customer_id", "lines", "channel"], descending=[False, True, False])
        .group_by("customer_id", maintain_order=True)
        .agg(main_channel=pl.col("channel").first(), main_channel_share=pl.col("lines").first() / pl.col("lines").sum())
    )
    joined = totals
    for part in (money, gaps, mix, main):
        joined = joined.join(part, on="customer_id")
    scores = {"r_score": "last_order_date", "f_score": "order_day_count", "m_score": "spend_amount"}
    fifth = {name: 1 + (pl.struct(column, "customer_id").rank("ordinal") - 1) * 5 // pl.len() for name, column in scores.items()}
    joined.with_columns(**fifth).sort("customer_id").sink_parquet(out / OUTPUT, compression="zstd")


def pandas_by_hand(lake: Path, out: Path) -> None:
    """Run the same in pandas; money becomes a float, ids and names become categories."""
    lines = _pandas_lines(lake)
    sold = lines[lines.line_kind == "order"]
    by_customer = sold.groupby("customer_id", observed=True)
    money = lines.groupby("customer_id", observed=True).net_amount
    days = sold[["customer_id", "order_day"]].drop_duplicates().sort_values(["customer_id", "order_day"])
    days["gap"] = days.groupby("customer_id", observed=True).order_day.diff().dt.days
    days["is_weekend"] = days.order_day.dt.day_of_week >= 5
    rhythm = days.groupby("customer_id", observed=True)
    features = pd.DataFrame(
        {
            "first_order_date": by_customer.order_day.min(),
            "last_order_date": by_customer.order_day.max(),
            "order_day_count": rhythm.size(),
            "order_count": by_customer.order_id.nunique(),
            "line_count": by_customer.size(),
            "spend_amount": money.sum(),
            "refund_amount": -lines[lines.line_kind == "refund"].groupby("customer_id", observed=True).net_amount.sum(),
            "discount_share": (sold.discount_amount > 0).groupby(sold.customer_id, observed=True).mean(),
            "weekend_share": rhythm.is_weekend.mean(),
            "gap_mean_days": rhythm.gap.mean(),
            "gap_deviation_days": rhythm.gap.std(),
            "gap_median_days": rhythm.gap.median(),
        }
    )
    features = features[features.line_count > 0].fillna({"refund_amount": 0})
    features = features.join(_pandas_mix(sold))
    features.index = features.index.astype("str")
    features = features.sort_index()
    for name, column in {"r_score": "last_order_date", "f_score": "order_day_count", "m_score": "spend_amount"}.items():
        features[name] = 1 + (features[column].rank(method="first").astype("int64") - 1) * 5 // len(features)
    features.reset_index().to_parquet(out / OUTPUT, compression="zstd")


def _pandas_lines(lake: Path) -> pd.DataFrame:
    files = ds.dataset(lake / "tables" / "order_lines", format="parquet")
    texts = ["customer_id", "category", "channel", "line_kind"]
    lines = files.to_table(columns=COLUMNS).to_pandas(date_as_object=False, categories=texts)
    lines[["net_amount", "discount_amount"]] = lines[["net_amount", "discount_amount"]].astype("float64")
    kept: pd.DataFrame = lines[lines.line_kind != "cancelled"]
    return kept


def _pandas_mix(sold: pd.DataFrame) -> pd.DataFrame:
    categories = sold.groupby(["customer_id", "category"], observed=True).agg(
        day_count=("order_day", "nunique"), line_count=("order_id", "size"), amount=("net_amount", "sum")
    )
    ordered = categories.reset_index().astype({"category": "str"})
    ordered = ordered.sort_values(["customer_id", "day_count", "amount", "category"], ascending=[True, False, False, True])
    by_customer = ordered.groupby("customer_id", observed=True)
    squares = (ordered.line_count**2).groupby(ordered.customer_id, observed=True).sum()
    channels = sold.groupby(["customer_id", "channel"], observed=True).size().rename("lines").reset_index().astype({"channel": "str"})
    main = channels.sort_values(["customer_id", "lines", "channel"], ascending=[True, False, True]).groupby("customer_id", observed=True)
    return pd.DataFrame(
        {
            "category_count": by_customer.size(),
            "favourite_category": by_customer.category.first(),
            "category_concentration": squares / by_customer.line_count.sum() ** 2,
            "main_channel": main.channel.first(),
            "main_channel_share": main.lines.first() / main.lines.sum(),
        }
    )


def _statement() -> str:
    return (SQL / "features_by_hand.sql").read_text("utf-8")


def _files(lake: Path) -> Path:
    return lake / "tables" / "order_lines" / "*" / "*" / "*.parquet"


def _duckdb(lake: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW order_lines AS SELECT * FROM read_parquet('{_files(lake)}', hive_partitioning = false)")
    return connection
