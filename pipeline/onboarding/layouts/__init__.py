"""Layouts of exports that many shops have, each known by its columns; and of any other table, made of its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.errors import ConfigError
from pipeline.onboarding.customer_columns import customer_columns
from pipeline.onboarding.layouts import (
    amazon,
    etsy,
    hubspot_contacts,
    mailchimp,
    shopify_customers,
    shopify_orders,
    square,
    stripe_charges,
    stripe_payments,
    table_of_customers,
    table_of_orders,
    table_of_periods,
    woocommerce,
)
from pipeline.onboarding.layouts.layout import Layout
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.questions import Settings
from pipeline.onboarding.roles import AMOUNTS, ColumnRole, Role, column_roles, contradictions
from pipeline.onboarding.table_sample import TableSample

LAYOUTS: tuple[Layout, ...] = (
    shopify_orders.LAYOUT,
    shopify_customers.LAYOUT,
    woocommerce.ORDERS_LAYOUT,
    woocommerce.ITEMS_LAYOUT,
    woocommerce.ADVANCED_LAYOUT,
    woocommerce.ANALYTICS_LAYOUT,
    stripe_payments.LAYOUT,
    stripe_charges.LAYOUT,
    square.ITEMS_LAYOUT,
    square.TRANSACTIONS_LAYOUT,
    etsy.ITEMS_LAYOUT,
    etsy.ORDERS_LAYOUT,
    amazon.LAYOUT,
    mailchimp.MEMBERS_LAYOUT,
    mailchimp.NON_SUBSCRIBED_LAYOUT,
    mailchimp.ACTIVITY_LAYOUT,
    hubspot_contacts.LAYOUT,
)


_ROWS_OF_BUYERS = 1.5


def _are_rows_of_buyers(sample: TableSample, roles: Sequence[ColumnRole]) -> bool:
    """Return whether people come in several rows each, with fractions of something: sales, in whatever language they are named."""
    known = customer_columns(sample, roles)
    column = sample.column(known.email or known.number or known.name)
    has_fractions = any(
        number_style(each.counts) and any(re.search(r"[.,]\d\d\b", value) for value in each.counts) for each in sample.columns()
    )
    return has_fractions and column.given_count > _ROWS_OF_BUYERS * max(len(column.counts), 1)


class UnknownTableError(ConfigError):
    """A table shows neither orders nor customers."""


def layout_of(sample: TableSample, settings: Settings) -> Layout:
    """Return the layout that the table has: of those that fit the one with most columns, else one made of its columns.

    Raises UnknownTableError where they show neither orders nor customers, ConfigError where cells contradict the names of their columns.
    """
    fitting = [layout for layout in LAYOUTS if layout.fits(sample)]
    if fitting:
        return max(fitting, key=lambda layout: (len(layout.required), layout.file_name))
    roles = column_roles(sample)
    found = {each.role for each in roles}
    # What is said of one file must not change what another one is.
    named = {key.partition(".")[2] for key, name in settings.values.items() if key.startswith("orders.") and sample.spelling(name)}
    is_of_people = not named and table_of_customers.is_list_of_people(sample, roles)
    has_amount = bool(found & AMOUNTS) or "amount" in named or _are_rows_of_buyers(sample, roles)
    if (Role.DATE in found or "date" in named) and has_amount and not is_of_people:
        return table_of_orders.layout(sample, roles)
    odd = [] if is_of_people else contradictions(sample)
    by_name = found | {role for role, _ in odd}
    if odd and Role.DATE in by_name and by_name & AMOUNTS:
        what = f"{sample.files[0].name} is no table of orders yet: {'; '.join(words for _, words in odd)}"
        raise ConfigError(what, where=str(sample.files[0]), todo="Write all of them in one way, or empty the cells, and begin again.")
    if len(periods := table_of_periods.month_columns(sample)) >= table_of_periods.FEWEST_PERIODS:
        return table_of_periods.layout(periods)
    known = customer_columns(sample, roles, of_people=True)
    if known.number or known.email or known.name:
        return table_of_customers.layout(roles, known.number or known.email or known.name)
    what = f"{sample.files[0].name} shows neither orders nor customers: it has the columns {', '.join(sample.column_names[:20])}"
    todo = (
        "Orders need a column of dates and one of amounts, customers one that tells them apart. If it has them, name them: "
        "--set orders.date=COLUMN --set orders.amount=COLUMN --set orders.customer=COLUMN."
    )
    raise UnknownTableError(what, where=str(sample.files[0]), todo=todo)
