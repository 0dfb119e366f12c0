"""Lineage: from a rule to the features, the tables and the source columns that it comes from, and back.

Offers `lineage_of`, and `CompanyLineage` for whoever asks more than once, with what they answer (`Lineage`, `SourceColumn`, `SchemeUse`).
Everything is read from declarations, statements and definitions: it must not know a lake, a night or a customer.
"""

from pipeline.reporting.lineage.company_lineage import lineage_of
from pipeline.reporting.lineage.lineage import CompanyLineage, Lineage, SourceColumn
from pipeline.reporting.lineage.uses import SchemeUse, scheme_names, segment_names

__all__ = ["CompanyLineage", "Lineage", "SchemeUse", "SourceColumn", "lineage_of", "scheme_names", "segment_names"]
