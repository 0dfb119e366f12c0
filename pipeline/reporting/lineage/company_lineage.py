"""The lineage of a name by the definitions as a company's files have them now."""

from __future__ import annotations

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.reporting.lineage.lineage import CompanyLineage, Lineage


def lineage_of(company: Company, name: str) -> Lineage:
    """Trace where `name` comes from and who uses it.

    Schemes that cannot be computed count too: whoever is about to add the column they lack wants to see them.
    """
    schemes = load_schemes(company)
    return CompanyLineage(company, (*schemes.schemes, *schemes.uncomputed), load_cluster_schemes(company)).trace_name(name)
