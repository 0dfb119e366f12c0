"""What the night's segments and sales come to in few rows: figures for the morning page, and what to learn from segments.

Offers the writers of those tables. They hold counts and sums of many customers, and no customer.
"""

from pipeline.segmentation.insights.figures import write_figures
from pipeline.segmentation.insights.flows import write_flows

__all__ = ["write_figures", "write_flows"]
