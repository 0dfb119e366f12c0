"""Companies, lakes and Airflows for these tests."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
DEMO = REPO / "examples" / "adventureworks"
sys.path.insert(0, str(REPO))

from local import airflow_home  # noqa: E402 - belongs to the checkout, not to what is installed

CANARY = "CANARY"
LAST_DAY = "2024-03-31"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One company, one lake and one Airflow of its own."""

    company: Path
    lake: Path
    home: Path

    @classmethod
    def of(cls, company: Path, folder: Path) -> Deployment:
        return cls(company, folder / "lake", folder / "airflow")

    @property
    def options(self) -> list[str]:
        return ["--company", str(self.company), "--lake", str(self.lake), "--home", str(self.home)]

    def configure(self, section: str, **options: object) -> None:
        """Set options of a section of its Airflow, in the file that Airflow reads beside the environment."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        lines = [f"[{section}]", *(f"{name} = {value}" for name, value in options.items())]
        with (self.home / "airflow.cfg").open("a") as file:
            file.write("\n".join(lines) + "\n")

    def environment(self) -> dict[str, str]:
        return airflow_home.airflow_environment(company=self.company, lake=self.lake, home=self.home)

    def run_night(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local.run_night", *self.options, *options]
        environment = os.environ | {"PYTHONPATH": str(REPO)} | variables
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def everything_airflow_kept(self) -> bytes:
        """Return the bytes of Airflow's database, its write-ahead log and every log file."""
        files = [path for path in self.home.rglob("*") if path.is_file()]
        assert any(path.name == "airflow.db" for path in files)
        return b"\n".join(path.read_bytes() for path in files)


def a_small_company(folder: Path, *, zone: str = "Europe/Berlin", last_day: str | None = LAST_DAY) -> Path:
    """Write a company of three customers, whose values all contain the canary, and return its folder."""
    (folder / "sources").mkdir(parents=True)
    (folder / "data").mkdir()
    chosen = f"last_day = {last_day}" if last_day else ""
    (folder / "company.toml").write_text(COMPANY_TOML.format(zone=zone, last_day=chosen))
    (folder / "sources" / "customers.sql").write_text("SELECT id AS customer_id, email, city FROM customers\n")
    (folder / "sources" / "order_lines.sql").write_text(ORDER_LINES_SQL)
    customers = [f"{CANARY}-{n},{CANARY}-{n}@x.example,{CANARY}-town\n" for n in range(3)]
    (folder / "data" / "customers.csv").write_text("id,email,city\n" + "".join(customers))
    (folder / "data" / "orders.csv").write_text(ORDERS_HEADER + "".join(_orders()))
    return folder


def _orders() -> list[str]:
    return [
        f"{CANARY}-o{customer}-{month},1,{CANARY}-{customer},2024-{month:02}-{5 + customer:02} 10:00:00,{10 + customer}.50,{CANARY}-wine\n"
        for customer in range(3)
        for month in range(1, 4)
    ]


ORDERS_HEADER = "order_no,line,customer,sold_at,paid,category\n"
COMPANY_TOML = """\
name = "Small"
time_zone = "{zone}"
currency = "EUR"
first_day = 2024-01-01
{last_day}

[source]
kind = "files"
path = "data"

[attributes.email]
level = "demographic"
pii = true

[attributes.city]
level = "geographic"
"""
ORDER_LINES_SQL = """\
SELECT
  order_no AS order_id,
  CAST(line AS BIGINT) AS line_number,
  customer AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity,
  CAST(paid AS DECIMAL(18, 4)) AS net_amount,
  category
FROM orders
"""
