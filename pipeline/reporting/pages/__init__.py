"""The HTML pages of a night: one self-contained file each, readable offline, in light and dark. Counts and names only, no customer.

Offers `write_validation_page`, and `gates_line`, which says in the terminal what the page says of gates. It must not judge anything.
"""

from pipeline.reporting.pages.gates import gates_line
from pipeline.reporting.pages.night_page import write_validation_page
from pipeline.reporting.pages.validation import validation_page

__all__ = ["gates_line", "validation_page", "write_validation_page"]
