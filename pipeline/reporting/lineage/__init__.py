"""Lineage: from a rule to the features, the tables and the source columns that it comes from, and back. Pure."""

from pipeline.reporting.lineage.lineage import Lineage, Lineages, SourceColumn
from pipeline.reporting.lineage.uses import Use, names_in, scheme_names

__all__ = ["Lineage", "Lineages", "SourceColumn", "Use", "names_in", "scheme_names"]
