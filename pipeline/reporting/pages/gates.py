"""What the gates said of a night: a section of the page, and a line for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from pipeline.publication.gates import GateResult, GateState, gate_sentence

# In the order in which people want to read them: what holds the night back, then what somebody let through.
STYLES = {
    GateState.CLOSED: "stop",
    GateState.OVERRIDDEN: "aside",
    GateState.OPEN: "hold",
    GateState.NOT_MEASURED: "warn",
    GateState.OFF: "warn",
}


def gates_section(gates: Sequence[GateResult]) -> str:
    """Write out the section of the page in HTML, the worst first; nothing where no gate was judged."""
    if not gates:
        return ""
    rows = "".join(_gate_row(gate) for gate in sorted(gates, key=lambda gate: list(STYLES).index(gate.state)))
    return (
        '<section class="table"><h2>Gates</h2><p class="flow">What this night is beside the last good one.</p>'
        '<div class="scroll"><table><thead><tr><th class="status">Status</th><th>Gate</th><th>Of</th><th>What it saw</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>\n"
    )


def gates_line(gates: Sequence[GateResult]) -> str:
    """Say in one line how many gates are open, and which are closed or overridden."""
    counts = Counter(gate.state for gate in gates)
    numbers = ", ".join(f"{counts[state]} {state}" for state in STYLES if counts[state])
    noted = [gate_sentence(gate) for gate in gates if gate.state in (GateState.CLOSED, GateState.OVERRIDDEN)]
    return f"Gates: {numbers}.{''.join(f' {line}.' for line in noted)}" if gates else ""


def _gate_row(gate: GateResult) -> str:
    words = f"{gate.words}; overridden: {gate.reason}" if gate.reason else gate.words
    return (
        f'<tr><td><span class="badge {STYLES[gate.state]}">{gate.state}</span></td><td>{escape(gate.gate)}</td>'
        f"<td><code>{escape(gate.subject)}</code></td><td>{escape(words)}</td></tr>"
    )
