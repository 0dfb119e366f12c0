"""Which row comes first in a file changes nothing in the company that is made of it."""

from __future__ import annotations

from pathlib import Path

from support.onboarding import ANSWERS, init, net_by_order

HEAD = "order,date,customer,email,net,city,state,newsletter\n"
STATES = ("paid", "void", "storniert", "bezahlt")
ROWS = [
    f"{place},2024-0{1 + place % 9}-{13 + place % 10},c{place % 7},c{place % 7}@{('x.de', 'y.fr')[place % 2]},{place}.50,"
    f"{('Bonn', 'Cologne')[place % 2]},{STATES[place % 4]},{('yes', 'no')[place % 7 % 2]}\n"
    for place in range(40)
]


def test_rows_in_another_order_make_the_same_folder(tmp_path: Path) -> None:
    ways = (ROWS, ROWS[::-1], ROWS[1::2] + ROWS[::2])
    made = [init(tmp_path / str(place) / "shop", {"orders.csv": HEAD + "".join(rows)}, ANSWERS) for place, rows in enumerate(ways)]
    texts = [
        {
            path.relative_to(each.folder): path.read_bytes()
            for path in sorted(each.folder.rglob("*"))
            if path.suffix in {".toml", ".sql", ".md"}
        }
        for each in made
    ]
    assert {path.name for path in texts[0]} == {"company.toml", "README.md", "customers.sql", "order_lines.sql", "consents.sql"}
    assert texts[1] == texts[2] == texts[0]
    assert net_by_order(made[1]) == net_by_order(made[2]) == net_by_order(made[0])
