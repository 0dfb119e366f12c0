"""`segments check`: all that can be known to be wrong with a company's folder without a night, in one run.

Every part is read by the loader that a night reads it with; only that here a fault ends the reading of its part, and not of the others.
What goes by a part that is wrong is left out and named, as nobody knows whether it is right.
"""

from pipeline.operations.check.company_check import CompanyCheck, check_company
from pipeline.operations.check.problems import Problem

__all__ = ["CompanyCheck", "Problem", "check_company"]
