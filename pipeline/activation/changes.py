"""What differs between what a sink should hold of a customer and what it holds: pure functions over the namespace that is ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.activation.sinks.sink import Change, Remote


@dataclass(frozen=True, slots=True)
class Desired:
    """What a sink should hold of one customer: lists, our fields, and what a new record is made of."""

    customer_id: str
    lists: frozenset[str]
    fields: Mapping[str, str]
    contacts: Mapping[str, str] = field(default_factory=dict)
    is_removal: bool = False


def change_between(desired: Desired, remote: Remote | None, *, version: int) -> Change | None:
    """Return what to write so that the sink holds `desired`; None where there is nothing to remove from.

    Only lists that are ours are looked at: those of others are in no `remote`. A field that the sink lacks counts as empty.
    """
    if remote is None:
        if desired.is_removal:
            return None
        return Change(
            desired.customer_id,
            None,
            desired.lists,
            tuple(sorted(desired.lists)),
            (),
            _filled(desired.fields),
            _filled(desired.contacts),
            version,
        )
    fields = {name: value for name, value in desired.fields.items() if remote.fields.get(name, "") != value}
    return Change(
        desired.customer_id,
        remote.remote_id,
        desired.lists,
        tuple(sorted(desired.lists - remote.lists)),
        tuple(sorted(remote.lists - desired.lists)),
        fields,
        _filled(desired.contacts),
        version,
    )


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
