"""Layouts of exports that many shops have, each known by its columns."""

from __future__ import annotations

from pipeline.onboarding.layouts import shopify_orders
from pipeline.onboarding.layouts.layout import Layout
from pipeline.onboarding.table_sample import TableSample

LAYOUTS: tuple[Layout, ...] = (shopify_orders.LAYOUT,)


def layout_of(sample: TableSample) -> Layout:
    """Return the layout that the table has: of those that fit the one with most columns, else one made of its columns."""
    fitting = [layout for layout in LAYOUTS if layout.fits(sample)]
    return max(fitting, key=lambda layout: len(layout.required)) if fitting else layout_of_columns(sample)
