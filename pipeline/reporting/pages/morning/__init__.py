"""The page that people open each morning: may I trust it, what is new, what to do today, and who the customers are.

Offers `write_morning_page`, `write_morning_pages`, `page_file`, `page_of_night` and `page_languages`. It reads the small tables
that a night stored and nothing else: no figure of it is of fewer than ten customers, and it holds no customer's value.
"""

from pipeline.reporting.pages.morning.language import page_languages
from pipeline.reporting.pages.morning.night_page import page_file, page_of_night, write_morning_page, write_morning_pages

__all__ = ["page_file", "page_languages", "page_of_night", "write_morning_page", "write_morning_pages"]
