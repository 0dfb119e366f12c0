"""How many customers of each stratum go to each arm: whole numbers next to the exact shares, in each stratum and altogether.

Each arm gets the whole part of its share of a stratum. What is left over goes to the arms that are furthest behind by then, stratum after
stratum in an order that the campaign's salt shuffles: so small strata, where every share is a fraction, do not all round the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256


def arm_quotas(stratum_counts: Mapping[str, int], share_parts: Sequence[int], *, salt: str) -> dict[str, list[int]]:
    """Return by stratum how many of its customers each arm gets, in the order of the arms; they add up to the stratum.

    `share_parts` are proportional to the arms' shares. No arm is off by a whole customer in any stratum.
    """
    whole, given, seen = sum(share_parts), [0] * len(share_parts), 0
    quotas: dict[str, list[int]] = {}
    for stratum in sorted(stratum_counts, key=lambda name: sha256(f"{salt}:{name}".encode()).digest()):
        count = stratum_counts[stratum]
        seen += count
        quota = [count * parts // whole for parts in share_parts]
        # Only arms whose share is a fraction may be rounded up, each once.
        open_arms = [place for place, parts in enumerate(share_parts) if count * parts % whole]
        behind = sorted(open_arms, key=lambda place: (whole * (given[place] + quota[place]) - seen * share_parts[place], place))
        for place in behind[: count - sum(quota)]:
            quota[place] += 1
        given = [sum(pair) for pair in zip(given, quota, strict=True)]
        quotas[stratum] = quota
    return quotas
