"""A refit in a few lines of Markdown, as Airflow's approval form shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.models.refits.model_store import Judgement


def to_markdown(judgements: Sequence[Judgement]) -> str:
    """Render the judgements of the refits of a night: sizes and changes of clusters, nothing about any one customer."""
    return "\n\n".join("\n".join(_markdown_lines(each)) for each in judgements)


def _markdown_lines(judgement: Judgement) -> Iterator[str]:
    yield f"**{judgement['scheme']}**, candidate of {judgement['day']}: **{judgement['verdict']}**: {judgement['reason']}."
    yield from (f"- {event['change']}: {event['words']}" for event in judgement["events"])
    if judgement["clusters"]:
        yield "\n| Cluster | Title | Now | Then |\n|---|---|--:|--:|"
        for size in judgement["clusters"]:
            yield f"| {size['cluster']} | {size['title']} | {size['share_now']:.1%} | {size['share_then']:.1%} |"
