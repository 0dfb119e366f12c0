"""Small valid files, one for each way that a reader can go: where it asks something only of some files, one of them is here."""

from __future__ import annotations

COMPANIES = (
    """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01

[source]
path = "data"
[source.column_types.orders]
paid = "VARCHAR"
[source.formats.orders]
fill_merged = []

[attributes.city]
level = "geographic"
""",
    """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01

[source]
kind = "postgresql"
connection = "shop"

[publish]
kind = "postgresql"
connection = "crm"
[publish.iceberg]
catalog = "warehouse"

[notify.owners]
kind = "mail"
on = ["published"]
to = ["ada@shop.example"]
""",
    """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01

[source]
kind = "mysql"
connection = "shop"
time_zone = "Europe/Berlin"
""",
)
EVENTS = (
    """
[events.email]
key = ["email_id"]
instant = "sent_at"
columns = {email_id = "text", opened = {kind = "flag"}}
late_check_days = 0
""",
)
SURVEYS = (
    """
[surveys.email]
question = "email_id"
answer = "opened"
""",
)
CARD = """
message = "M."
promotion = "P."
product_offer = "O."
price = "P."
channel = "C."
service = "S."
priority = 2
budget_share = 0.1
"""
AUDIENCES = (
    f"""
title = "Big"
purpose = "Invite."
owner = "CRM"
rule = "spend_amount >= 100"
[needs]
income = "money"
[strategy]
{CARD}
""",
    """
title = "Late"
purpose = "Win back."
owner = "CRM"
segment = "lifecycle.at_risk"
strategy = "lifecycle.at_risk"
""",
)
CLUSTERS = (
    """
kind = "clusters"
title = "Groups"
level = "behavioural"
question = "Q?"
cluster_count_min = 2
cluster_count_max = 5
smallest_share = 0.03
jaccard_floor = 0.75
seed = 7
sample_rows = 10000
within = "lifecycle.active"
attributes = [{name = "city"}]
[[features]]
name = "spend_amount"
transform = "log1p"
high = "big"
low = "small"
[strategies.cluster_1]
"""
    + CARD,
)
FEATURES = (
    """
[early_orders]
from = "order_lines"
where = "category = 'a'"
value = "COUNT(*)"
last_days = 90
before = 1
description = "D."
""",
    """
[late_orders]
from = "order_lines"
value = "COUNT(*)"
during = "last month"
description = "D."
""",
)
SINKS = (
    """
kind = "tryton"
schemes = ["rfm"]
""",
)
CAMPAIGNS = (
    """
audience = "win_back"
start_day = 2026-10-01
end_day = 2026-10-28
cost_per_contact = 0.1
fixed_cost = 500
margin_share = 0.4
[arms.mail]
share = 0.9
cost_per_contact = 0.2
is_control = false
""",
)
TRANSLATIONS = (
    """
title = "Titel"
[segment.one]
title = "Eins"
[features.spend_amount]
high = "viel"
[strategies.cluster_1]
message = "Hallo"
""",
)
