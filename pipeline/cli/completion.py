"""What a shell offers while a command is typed: `segments --install-completion` has it ask here.

A shell asks the program itself, with what was typed so far, so nothing of this is loaded when a command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import typer

from pipeline.errors import PipelineError

Offer = list[tuple[str, str]]


def complete_scheme(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer schemes and audiences."""
    from pipeline.reporting.completion import scheme_words

    return _starting_with(incomplete, _words(ctx, scheme_words))


def complete_clusters(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer schemes of clusters."""
    from pipeline.reporting.completion import cluster_words

    return _starting_with(incomplete, _words(ctx, cluster_words))


def complete_segment(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the segments of the scheme that was given before."""
    from pipeline.reporting.completion import segment_words

    scheme = ctx.params.get("scheme") or ""
    return _starting_with(incomplete, _words(ctx, lambda folder: segment_words(folder, scheme)))


def complete_lineage(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer features, schemes and segments."""
    from pipeline.reporting.completion import lineage_words

    return _starting_with(incomplete, _words(ctx, lineage_words))


def complete_rule(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the rule with each word that its last one may become."""
    from pipeline.reporting.completion import rule_words_after

    return list(_words(ctx, lambda folder: rule_words_after(folder, incomplete)).items())


def complete_gate(incomplete: str) -> Offer:
    """Offer the gates."""
    from pipeline.reporting.completion import gate_words

    return _starting_with(incomplete, gate_words())


def complete_sink(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the sinks."""
    from pipeline.reporting.completion import sink_words

    return _starting_with(incomplete, _words(ctx, sink_words))


def complete_kind(incomplete: str) -> Offer:
    """Offer the kinds of files that have a schema."""
    from pipeline.reporting.editor_schemas import KINDS

    return _starting_with(incomplete, dict.fromkeys(KINDS, ""))


def complete_campaign(ctx: typer.Context, incomplete: str) -> Offer:
    """Offer the campaigns of the company's files."""
    from pipeline.reporting.completion import campaign_words

    return _starting_with(incomplete, _words(ctx, campaign_words))


def _words(ctx: typer.Context, words_of: Callable[[Path], Mapping[str, str]]) -> Mapping[str, str]:
    from pipeline.cli.options import COMPANY  # which offers gates from here

    # A file that is wrong is told of by the command; a shell that is asked for words can only offer none.
    with suppress(PipelineError):
        return words_of(Path(ctx.params.get("company") or COMPANY))
    return {}


def _starting_with(incomplete: str, words: Mapping[str, str]) -> Offer:
    return [(word, meaning) for word, meaning in words.items() if word.startswith(incomplete)]
