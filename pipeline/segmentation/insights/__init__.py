"""What the night's segments and sales come to in few rows: figures for the morning page, and what to learn from segments.

Offers the writers of those tables, and which night's of the slow ones to read (`refined_night`).
They hold counts and sums of many customers, and no customer.
"""

from pipeline.segmentation.insights.figures import write_figures
from pipeline.segmentation.insights.flows import write_flows
from pipeline.segmentation.insights.refinement import refined_night, write_refinement

__all__ = ["refined_night", "write_figures", "write_flows", "write_refinement"]
