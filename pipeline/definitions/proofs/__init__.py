"""What can be said of a scheme before any customer is seen: that it is total, and that every segment can have somebody."""

from pipeline.definitions.proofs.domains import CELLS, Domains
from pipeline.definitions.proofs.proving import Proof, Rule, require_proven

__all__ = ["CELLS", "Domains", "Proof", "Rule", "require_proven"]
