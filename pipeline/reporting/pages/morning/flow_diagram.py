"""The diagram of who moved from which segment to which: where its nodes and bands lie, for an SVG.

A flow of a few customers is joined with others, so that what comes to a segment adds up to what the cards say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.movement import Cause, Flow

SEVERAL = "*"
"""In the place of a segment: several, of which each had a few customers."""
WIDTH, LABEL, NODE, GAP, HEIGHT = 1000, 250, 12, 14, 460
SMALLEST_NODE = 14  # so that labels of small nodes do not overlap


@dataclass(frozen=True, slots=True)
class Node:
    """A segment on one side of the diagram."""

    segment: str
    customer_count: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Band:
    """A flow as a path between two nodes."""

    flow: Flow
    path: str


@dataclass(frozen=True, slots=True)
class FlowDiagram:
    """Nodes of both sides and the bands between them; `left_out` customers moved on ways of a few, even taken together."""

    sources: Sequence[Node]
    targets: Sequence[Node]
    bands: Sequence[Band]
    height: float
    left_out: int

    @property
    def flows(self) -> list[Flow]:
        """What is drawn, for the table that says the same."""
        return [band.flow for band in self.bands]


def drawn_flows(flows: Iterable[Flow]) -> tuple[list[Flow], int]:
    """Return the flows that may be told, and how many customers are left out: small ones are joined, by where they led to."""
    drawn: list[Flow] = []
    small: dict[tuple[str, Cause], int] = defaultdict(int)
    for flow in flows:
        if flow.customer_count >= FEWEST_PUBLISHED:
            drawn.append(flow)
        else:
            small[flow.to_segment, flow.cause] += flow.customer_count
    left_out = 0
    for (to_segment, cause), count in sorted(small.items(), key=lambda item: (item[0][0], item[0][1].value)):
        if count >= FEWEST_PUBLISHED:
            drawn.append(Flow(SEVERAL, to_segment, cause, count))
        else:
            left_out += count
    return drawn, left_out


def flow_diagram(flows: Iterable[Flow], order: Sequence[str]) -> FlowDiagram | None:
    """Return the diagram of these flows, segments in `order`; None where nothing may be told."""
    drawn, left_out = drawn_flows(flows)
    if not drawn:
        return None
    places = {segment: place for place, segment in enumerate(["", *order, SEVERAL])}
    drawn.sort(key=lambda flow: (places.get(flow.from_segment, 0), places.get(flow.to_segment, 0), list(Cause).index(flow.cause)))
    scale = HEIGHT / sum(flow.customer_count for flow in drawn)
    sources = _nodes(drawn, places, scale, x=LABEL, is_source=True)
    targets = _nodes(drawn, places, scale, x=WIDTH - LABEL - NODE, is_source=False)
    height = max(node.y + node.height for node in (*sources.values(), *targets.values())) + GAP
    return FlowDiagram(
        list(sources.values()), list(targets.values()), list(_bands(drawn, sources, targets, scale)), round(height, 1), left_out
    )


def _nodes(flows: Sequence[Flow], places: Mapping[str, int], scale: float, *, x: float, is_source: bool) -> dict[str, Node]:
    counts: dict[str, int] = defaultdict(int)
    for flow in flows:
        counts[flow.from_segment if is_source else flow.to_segment] += flow.customer_count
    nodes, y = {}, float(GAP)
    for segment in sorted(counts, key=lambda segment: places.get(segment, 0)):
        height = max(counts[segment] * scale, SMALLEST_NODE)
        nodes[segment] = Node(segment, counts[segment], x, round(y, 1), round(height, 1))
        y += height + GAP
    return nodes


def _bands(flows: Sequence[Flow], sources: Mapping[str, Node], targets: Mapping[str, Node], scale: float) -> Iterable[Band]:
    starts = {name: node.y for name, node in sources.items()}
    ends = {name: node.y for name, node in targets.items()}
    for flow in flows:
        source, target, height = sources[flow.from_segment], targets[flow.to_segment], flow.customer_count * scale
        left, right, middle = source.x + NODE, target.x, (source.x + NODE + target.x) / 2
        top, bottom = starts[flow.from_segment], ends[flow.to_segment]
        starts[flow.from_segment] += height
        ends[flow.to_segment] += height
        path = (
            f"M{left} {top:.1f}C{middle} {top:.1f} {middle} {bottom:.1f} {right} {bottom:.1f}V{bottom + height:.1f}"
            f"C{middle} {bottom + height:.1f} {middle} {top + height:.1f} {left} {top + height:.1f}Z"
        )
        yield Band(flow, path)
