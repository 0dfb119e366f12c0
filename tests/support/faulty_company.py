"""A company's folder with a fault of every kind, and where each is."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "company.toml": """
name = "My shop"
time_zone = "Europe/Berln"
currency = "EURO"
first_day = 2024-01-01
last_day = 2023-03-31
window_days = 0
colour = "red"

[source]
path = "data"

[attributes.city]
level = "geografic"

[attributes.wallet]
level = "demographic"
kind = "numbr"

[events.clicks]
instant = "at"
key = ["id"]

[surveys.answers]
question = "q"

[notify.ada]
kind = "mial"
on = ["failed"]
""",
    "data/orders.csv": "order_no,line,customer,sold_at,pieces,paid,category\n1,1,7,2024-01-02 10:00:00,1,5.00,wine\n",
    "data/customers.csv": "id,city\n7,Berlin\n",
    "data/old.csv": "id,city\n7,Berlin\n",
    "sources/customers.sql": "SELECT CAST(id AS VARCHAR) AS customer_id,\n  town AS city FROM customers\n",
    "sources/order_lines.sql": """SELECT order_no AS order_id, line AS line_number, CAST(customer AS VARCHAR) AS customer_id,
  CAST(sold_at AS TIMESTAMP) AS ordered_at,
  CAST(paid AS DOUBLE) AS net_amount, category
FROM orders
""",
    "sources/visits.sql": "SELECT 1; SELECT 2\n",
    "sources/prospects.sql": "SELECT CAST(id AS VARCHAR) AS customer_id FROM leads WHERE at < $day_ends\n",
    "sources/consents.sql": "SELECT CAST(id AS VARCHAR) AS customer_id,\n  true AS is_consenting\n  FROM customers WERE id > 1\n",
    "sources/consent.sql": "SELECT 1\n",
    "segments/wine.toml": """
title = "Wine club"
kind = "rules"
level = "behavioural"
question = "Who is invited to a tasting?"
evidence = ["lifetime_order_count", "favorite_category"]
segment = [
  {id = "invited", title = "Invited", description = "Buys wine.", rule = "favourite_categry = 'wine'"},
  {id = "others", title = "Others", description = "Everybody else.", otherwise = true},
]
""",
    "segments/two.toml": """
title = "Two"
kind = "rules"
level = "behavioural"
question = "Which?"
evidence = ["lifetime_order_count"]

[[segment]]
id = "a"
title = "A"
description = "A."
rule = "spend_amount >= "

[[segment]]
id = "b"
title = "B"
description = "B."
rule = "lifecycl.segment = 'active'"
[segment.strategy]
message = 5

[[segment]]
id = "c"
title = "C"
description = "C."
otherwise = true
""",
    "segments/dead.toml": """
title = "Dead"
kind = "rules"
level = "behavioural"
question = "Which?"
evidence = ["lifetime_order_count"]
segment = [
  {id = "a", title = "A", description = "A.", rule = "lifetime_order_count >= 2"},
  {id = "b", title = "B", description = "B.", rule = "lifetime_order_count >= 3"},
  {id = "c", title = "C", description = "C.", otherwise = true},
]
""",
    "segments/beside_dead.toml": """
title = "Beside the dead"
kind = "rules"
level = "behavioural"
question = "Which?"
evidence = ["lifetime_order_count"]
segment = [
  {id = "a", title = "A", description = "A.", rule = "dead.segment = 'a'"},
  {id = "c", title = "C", description = "C.", otherwise = true},
]
""",
    "segments/groups.toml": (
        'kind = "clusters"\ntitle = "Groups"\nquestion = "Which?"\nlevel = "behavioural"\ncluster_count_min = 1\ncluster_count_max = 8\n'
        'smallest_share = 3\njaccard_floor = 0.75\nseed = 1\nsample_rows = 10000\ncolour = "red"\n'
        'features = [{name = "spend_amount", transform = "log1p"}]\n'
    ),
    "segments/broken.toml": 'title = "T"\nkind = [\n',
    "segments/translations/de/rfm.toml": 'title = "Wo"\n[segment.nobody]\ntitle = "x"\n',
    "segments/translations/de/rmf.toml": 'title = "Wo"\n',
    "features/mine.toml": """[wine_orders]
from = "order_lines"
value = "COUNT(DISTINCT ordr_id)"
description = "Orders with wine."
[beer_orders]
from = "order_line"
value = "COUNT(*)"
description = "Orders with beer."
""",
    "audiences/vip.toml": 'title = "V"\npurpose = "P"\nowner = "ada"\nrule = "IN LIST vips"\nexpire = 1\n',
    "audiences/wine_lovers.toml": 'title = "V"\npurpose = "P"\nowner = "ada"\nrule = "wine_orders > 3"\n',
    "audiences/rich.toml": 'title = "V"\npurpose = "P"\nowner = "ada"\nrule = "spend_amount > \'x\'"\n',
    "lists/two_columns.csv": "a,b\n1,2\n",
    "lists/unused.csv": "a\n",
    "sinks/crm.toml": 'kind = "hubspott"\nconsent = "yes"\ncolour = "red"\n[limits]\nremoved_share = 7\n',
    "sinks/files.toml": 'kind = "files"\nschemes = ["nope"]\n[settings]\ntag = "x"\n',
    "campaigns/spring.toml": 'audience = "nobody"\nstart_day = 2024-01-01\nend_day = 2024-02-01\nlooks = 3\nchanel = "mail"\n',
    "campaigns/summer.toml": 'start_day = 2024-01-01\nend_day = 2024-02-01\naudience = "lifecycle.activ"\n',
    "expectations/raw_order_lines.json": """{"expectations": [
 {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "order_idd"},
  "severity": "critical", "meta": {"rule": "one", "rejects_rows": true}},
 {"type": "expect_column_values_to_be_nul", "kwargs": {"column": "order_id"},
  "severity": "critical", "meta": {"rule": "two", "rejects_rows": true}},
 {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "is_text_readable", "regex": "x"},
  "severity": "critical", "meta": {"rule": "three", "rejects_rows": true}},
 {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "cat", "max_value": 9},
  "severity": "critical", "meta": {"rule": "four", "rejects_rows": true}}
]}
""",
    "expectations/customer_features.json": '{"expectations": [\n',
    "expectations/order_lines.json": "{}",
}
"""What the folder holds, by path."""

PROBLEMS = {
    ("company.toml", 3, "`time_zone` is `Europe/Berln`"),
    ("company.toml", 4, "`currency` is `EURO`"),
    ("company.toml", 6, "`last_day` lies before `first_day`"),
    ("company.toml", 7, "`window_days` must lie between 1"),
    ("company.toml", 8, "`colour` is not a known setting"),
    ("company.toml", 14, "`attributes.city.level` is `geografic` (did you mean `geographic`?)"),
    ("company.toml", 18, "`attributes.wallet.kind` is `numbr` (did you mean `number`?)"),
    ("company.toml", 20, "`events.clicks.key` names `id`, which is no column"),
    ("company.toml", 24, "`surveys.answers` is no declared event"),
    ("company.toml", 28, "`notify.ada.kind` is `mial` (did you mean `mail`?)"),
    ("sources/customers.sql", 2, "names the column `town`"),
    ("sources/order_lines.sql", 1, "order_lines lacks quantity"),
    ("sources/order_lines.sql", 1, "order_lines.line_number is text, declared whole number"),
    ("sources/order_lines.sql", 2, "order_lines.ordered_at is TIMESTAMP without a time zone"),
    ("sources/order_lines.sql", 3, "order_lines.net_amount is DOUBLE"),
    ("sources/visits.sql", 1, "it holds several statements"),
    ("sources/prospects.sql", 1, "`$day_ends` is not a parameter (did you mean `day_end`?)"),
    ("sources/consents.sql", 3, "sources/consents.sql cannot be run: syntax error"),
    ("sources/consent.sql", 1, "`sources/consent.sql` would never be read (did you mean `consents.sql`?)"),
    ("segments/wine.toml", 6, "evidence `favorite_category` is unknown"),
    ("segments/wine.toml", 8, "unknown name `favourite_categry` (did you mean `favourite_category`?)"),
    ("segments/two.toml", 12, "`>=` does not fit here"),
    ("segments/two.toml", 18, "unknown name `lifecycl.segment`"),
    ("segments/two.toml", 20, "`segment 2: strategy.message` has the wrong type: int"),
    ("segments/dead.toml", 9, "nobody can ever be in `b`: `a` comes first"),
    ("segments/groups.toml", 5, "`cluster_count_min` must be a whole number from 2"),
    ("segments/groups.toml", 7, "`smallest_share` must be a number from 0.01 to 0.5"),
    ("segments/groups.toml", 11, "`colour` is not a known field"),
    ("segments/broken.toml", 2, "not valid TOML"),
    ("segments/translations/de/rfm.toml", 1, "`segment.nobody.title` is no text of the scheme"),
    ("segments/translations/de/rmf.toml", 1, "would never be read (did you mean `rfm`?)"),
    ("features/mine.toml", 3, "unknown name `ordr_id` (did you mean `order_id`?)"),
    ("features/mine.toml", 6, "unknown source of events `order_line`"),
    ("audiences/vip.toml", 4, "there is no list `vips`"),
    ("audiences/rich.toml", 4, "cannot compare: exact decimal with text (column 1 of the rule)"),
    ("lists/two_columns.csv", 1, "has 2 columns"),
    ("sinks/crm.toml", 1, "`kind` is `hubspott` (did you mean `hubspot`?)"),
    ("sinks/crm.toml", 2, "`consent` is `yes`"),
    ("sinks/crm.toml", 3, "`colour` is not a known setting"),
    ("sinks/crm.toml", 5, "`limits.removed_share` must be a number from 0 to 1"),
    ("audiences/vip.toml", 5, "`expire` is not a known setting (did you mean `expires`?)"),
    ("campaigns/spring.toml", 4, "`looks` must be 4, or be left out"),
    ("campaigns/spring.toml", 5, "`chanel` is not a known setting (did you mean `channel`?)"),
    ("sinks/files.toml", 2, "`schemes` names `nope`"),
    ("sinks/files.toml", 4, "`settings.tag` is not a known setting"),
    ("campaigns/spring.toml", 1, "`audience` is `nobody`, which is no audience"),
    ("campaigns/summer.toml", 3, "`audience`:"),
    ("expectations/raw_order_lines.json", 3, "`order_idd` is no column (did you mean `order_id`?)"),
    ("expectations/raw_order_lines.json", 4, "`expect_column_values_to_be_nul` is no expectation"),
    ("expectations/raw_order_lines.json", 9, "`cat` is no column"),
    ("expectations/customer_features.json", 2, "not valid JSON"),
    ("expectations/order_lines.json", 1, "would never be read (did you mean `raw_order_lines.json`?)"),
}
"""What is wrong in it: the file, the line, and how the message begins or what is in it."""

LEFT_OUT = ["segments/beside_dead.toml", "audiences/wine_lovers.toml"]
UNUSED = ["lists/two_columns.csv", "lists/unused.csv", "data/old.csv"]


def write_faulty_company(folder: Path) -> Path:
    """Write the folder, and return it."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder
