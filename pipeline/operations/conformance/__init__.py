"""Whether nights of a deployment leave what they leave on one machine: those of a made-up company or of one's own, here and there."""

from pipeline.operations.conformance.conformance import CheckedPart, check_conformance
from pipeline.operations.conformance.workload import OwnNight

__all__ = ["CheckedPart", "OwnNight", "check_conformance"]
