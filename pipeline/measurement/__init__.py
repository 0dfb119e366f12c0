"""Campaigns: who is left alone, what the others achieved, and whether that is more than chance.

`planning` plans a campaign and starts it, which assigns customers once; by `writing` each night says what is known by then; `night_tables`
says whether there is anything to write. Statistics are pure functions over exact sums, in modules named as in a textbook.
"""
