"""Whether nights of a deployment leave what they leave on one machine: a made-up company, computed here and there."""

from pipeline.operations.conformance.conformance import CheckedPart, check_conformance

__all__ = ["CheckedPart", "check_conformance"]
