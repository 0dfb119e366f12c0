"""A check in the terminal: a line for each problem, as compilers write them, then how many there are, or what was looked at."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.operations.check.company_check import CompanyCheck
from pipeline.operations.check.problems import Problem
from pipeline.spelling import printable_line


def check_lines(check: CompanyCheck) -> Iterator[str]:
    """Yield the lines of a check."""
    yield from (problem_line(problem) for problem in check.problems)
    if check.left_out:
        yield f"Not judged before that is mended: {', '.join(check.left_out)}."
    if check.unused:
        yield f"Nothing reads: {', '.join(check.unused)}."
    if check.not_computed:
        yield f"No night can compute, from what the source gives: {', '.join(check.not_computed)}."
    count = len(check.problems)
    if count:
        yield f"{count:,} {'problem' if count == 1 else 'problems'} in {check.folder}."
    else:
        yield f"{check.folder} has no problem. Checked: {', '.join(check.checked)}."


def problem_line(problem: Problem) -> str:
    """Return the problem on one line: `file:line`, what is wrong, what to do."""
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    what = problem.what if problem.what.endswith((".", "!", "?")) else f"{problem.what}."
    return printable_line(" ".join(f"{place}: {what} {problem.remedy}".split()))
