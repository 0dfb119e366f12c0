"""What can be said of a scheme before any customer is seen: that it is total, and that every segment can have somebody."""

from pipeline.proofs.domains import CELLS, Domains, compared, is_plain
from pipeline.proofs.proving import Proof, Rule, require_proven

__all__ = ["CELLS", "Domains", "Proof", "Rule", "compared", "is_plain", "require_proven"]
