"""Which rules can never decide anything: tried on every combination of scores that a customer can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from sqlglot import exp

from pipeline.errors import ConfigError
from pipeline.rules import Value, rule_value

Cell = Mapping[str, Value]

_SCORES = range(1, 6)
_PROSPECT: Cell = {"is_prospect": True, "r_score": None, "f_score": None, "m_score": None, "fm_score": None}
CELLS: tuple[Cell, ...] = (
    _PROSPECT,
    *(
        {"is_prospect": False, "r_score": r, "f_score": f, "m_score": m, "fm_score": (f + m + 1) // 2}
        for r, f, m in product(_SCORES, repeat=3)
    ),
)


def require_total(segments: Sequence[tuple[str, exp.Expr | None]], places: Sequence[str], *, where: str) -> None:
    """Raise ConfigError unless everybody gets one of `segments` and every one of them can get somebody.

    Segments are (id, rule), tried in order; no rule stands for everybody left over. `places` are theirs, `where` is the scheme's.
    """
    ids = [name for name, _ in segments]
    rules = [rule for _, rule in segments if rule is not None]
    for index, (name, rule) in enumerate(segments[:-1]):
        if rule is None:
            raise ConfigError(f"`otherwise` of `{name}` hides the segments after it", where=places[index], todo="Move it to the end.")
    for index in range(len(rules)):
        _require_reachable(ids, places[index], index, _hiding_rules(rules, index))
    _require_remainder(ids, _left_over(rules), where, has_otherwise=len(rules) < len(segments))


def _require_reachable(ids: Sequence[str], place: str, index: int, hiding: set[int] | None) -> None:
    if hiding is None:
        return
    names = ", ".join(f"`{ids[earlier]}`" for earlier in sorted(hiding))
    reason = f"{names} comes first wherever its rule holds" if names else "its rule never holds"
    todo = "Narrow the earlier rule, move this segment up, or delete it." if names else "Mend the rule, or delete the segment."
    raise ConfigError(f"nobody can ever be in `{ids[index]}`: {reason}", where=place, todo=todo)


def _require_remainder(ids: Sequence[str], left: Cell | None, where: str, *, has_otherwise: bool) -> None:
    if has_otherwise and left is None:
        raise ConfigError(f"nobody can ever be in `{ids[-1]}`: the rules leave nobody over", where=where, todo="Delete the segment.")
    if not has_otherwise and left is not None:
        scores = ", ".join(f"{name} = {value}" for name, value in left.items())
        todo = "End with a segment that has `otherwise = true`."
        raise ConfigError(f"the rules may leave customers without a segment, such as one with {scores}", where=where, todo=todo)


def _hiding_rules(rules: Sequence[exp.Expr], index: int) -> set[int] | None:
    """Return the earlier rules that take everybody whom rule `index` could take, or None when it can take somebody.

    The set is empty for a rule that never holds. Rules that look at more than scores are taken to hold for anybody, or for nobody,
    whichever leaves more open.
    """
    rule, earlier = rules[index], rules[:index]
    if rule in earlier:
        return {earlier.index(rule)}
    hiding = set()
    for cell in CELLS:
        if not _is_provable(rule) or rule_value(rule, cell):
            first = _first_to_hold(earlier, cell)
            if first is None:
                return None
            hiding.add(first)
    return hiding


def _left_over(rules: Sequence[exp.Expr]) -> Cell | None:
    """Return scores for which no rule is proven to hold, or None when the rules leave nobody over."""
    return next((cell for cell in CELLS if _first_to_hold(rules, cell) is None), None)


def _first_to_hold(rules: Sequence[exp.Expr], cell: Cell) -> int | None:
    return next((index for index, rule in enumerate(rules) if _is_provable(rule) and rule_value(rule, cell)), None)


def _is_provable(rule: exp.Expr) -> bool:
    return all(column.name in _PROSPECT for column in rule.find_all(exp.Column))
