"""A check as JSON, for editors and for what runs on every change."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.operations.check.company_check import CompanyCheck


def to_json(check: CompanyCheck) -> str:
    """Return the check as a JSON document; `line` is null where there is no text to point at."""
    problems = [asdict(problem) | {"line": problem.line or None} for problem in check.problems]
    document = asdict(check) | {"problems": problems, "exit_code": check.exit_code}
    return json.dumps(document, indent=1)
