"""What can be proven of a scheme before any customer is seen: nobody is left over, and every segment can have somebody.

Offers `require_proven`, `require_possible` and the cases that it goes through (`Domains`, `CELLS`, `MAY_BE_NEGATIVE`). It knows checked
rules and the kinds of columns, but no scheme, no file and no customer.
"""

from pipeline.definitions.proofs.domains import CELLS, MAY_BE_NEGATIVE, Domains
from pipeline.definitions.proofs.proving import Proof, SegmentRule, require_possible, require_proven

__all__ = ["CELLS", "MAY_BE_NEGATIVE", "Domains", "Proof", "SegmentRule", "require_possible", "require_proven"]
