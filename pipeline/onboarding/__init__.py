"""Onboarding: from files that somebody has to a company folder that runs.

Files are recognised by their columns, or each column by its name and values; what cannot be told from them is a question. Nothing is
guessed without a word: what was assumed is printed, and written into the folder.
"""

from __future__ import annotations
