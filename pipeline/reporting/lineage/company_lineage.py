"""The lineage of a name by the definitions as a company's files have them now."""

from __future__ import annotations

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.reporting.lineage import CompanyLineage, Lineage


def lineage_of(company: Company, name: str) -> Lineage:
    """Return where `name` comes from and who uses it; schemes that cannot be computed count too."""
    schemes = load_schemes(company)
    return CompanyLineage(company, (*schemes.schemes, *schemes.uncomputed), load_cluster_schemes(company)).trace(name)
