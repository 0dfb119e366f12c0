"""The summary of a night in the terminal, for whoever wants to know who the customers are this morning.

Offers `print_summary`, which fits a screen, `print_whole_summary` with every scheme, and `headline_lines`.
"""

from pipeline.reporting.summary.headline import headline_lines
from pipeline.reporting.summary.summary import print_summary
from pipeline.reporting.summary.whole_summary import print_whole_summary

__all__ = ["headline_lines", "print_summary", "print_whole_summary"]
