"""The templates of SQL that layouts fill in."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def template_environment() -> Environment:
    """Return the environment with all templates of layouts."""
    # SQL, not HTML: escaping for a browser would spoil it, and names are quoted as identifiers.
    loader = PackageLoader("pipeline.onboarding", "layouts")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    # A block that is rendered alone sees no imports of its template.
    environment.globals["sharing"] = environment.get_template("sharing.sql.jinja").module
    return environment
