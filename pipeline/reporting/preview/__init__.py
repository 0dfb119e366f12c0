"""Whom a rule takes, before it is written into any file: how many, their revenue, some of their ids, and where they are already.

`preview_rule` answers; nothing is written, and no night is run.
"""

from pipeline.reporting.preview.preview import Overlap, Preview, preview_rule

__all__ = ["Overlap", "Preview", "preview_rule"]
