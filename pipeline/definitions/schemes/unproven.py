"""What could not be proven of rules without customers, looked up among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.definitions.schemes.scheme import Scheme


@dataclass(frozen=True, slots=True)
class UnprovenSegment:
    """A segment that no customer is in, and of which no proof says that anybody can be, or that nobody can."""

    scheme: str
    segment: str

    def __str__(self) -> str:
        return f"{self.scheme}: nobody is in `{self.segment}`, and that anybody can be could not be proven"


def unproven_segments(schemes: Iterable[Scheme], counts: Mapping[tuple[str, str], int]) -> tuple[UnprovenSegment, ...]:
    """Return the segments that only customers can prove to be possible, and none does; `counts` are customers by scheme and segment."""
    undecided = (UnprovenSegment(scheme.name, segment) for scheme in schemes if scheme.proof for segment in scheme.proof.undecided)
    return tuple(each for each in undecided if not counts.get((each.scheme, each.segment)))
