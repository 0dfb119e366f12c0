"""Tryton 8.2 over JSON-RPC: customers are parties by their code, lists are categories under a root that is ours.

Below the root lies a category for each scheme, and one for audiences; below these, one for each list. Whatever is under the root is
ours: a category there that is no list any more is taken from the parties. All other categories are never touched. The next action is a
note on the party, written by our user, whose first line begins with `Next action`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pipeline.activation.sinks.sink import Change, Customer, Outcome, Remote, RowResult, Sink
from pipeline.activation.sinks.tryton_rpc import TrytonRpc
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError

PARTY, CATEGORY, NOTE_MODEL = "party.party", "party.category", "ir.note"
NOTE = "note"
NOTE_START = "Next action"
CONTACTS = ("name", "email", "phone")
PAGE = 1000
HIDDEN_TOO = {"active_test": False}
_UNKNOWN = "#"


class TrytonSink(Sink):
    """Parties, their categories and notes; a call is one transaction of the CRM, so a refused batch has written nothing."""

    batch_rows: ClassVar[int] = 250

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        super().__init__(definition, address, folder)
        definition.require_settings("root", "opt_out_category")
        for theirs in definition.fields:
            if theirs not in (*CONTACTS, NOTE):
                todo = f"A party takes {', '.join(CONTACTS)} and {NOTE}."
                raise ConfigError(f"`fields.{theirs}` is not known to a sink of kind tryton", where=definition.where, todo=todo)
        self._rpc = TrytonRpc(address, where=definition.where)
        self._root = definition.setting("root", "Customer segments")
        self._categories: dict[str, int] | None = None
        self._notes: dict[str, list[int]] = {}

    def ensure_vocabulary(self) -> None:
        """Make the root, and the categories that are missing below it; one that was hidden is shown again."""
        tree = self._category_tree()
        root = tree.get(()) or self._create_category(self._root, None)
        paths = sorted({(each.group, each.title) for each in self.lists})
        for group in sorted({group for group, _ in paths}):
            parent = tree.get((group,)) or self._create_category(group, root)
            for path in paths:
                if path[0] == group and path not in tree:
                    self._create_category(path[1], parent)
        self._categories = None

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return parties by code, hidden ones too, with their categories below our root and the text of our note."""
        names = {number: name for name, number in self._category_ids().items()}
        rows = self._rpc.search_read(PARTY, [["code", "in", [each.customer_id for each in customers]]], ["code", "categories"], HIDDEN_TOO)
        notes = self._read_notes([row["id"] for row in rows]) if NOTE in self.definition.fields else {}
        found = {}
        for row in rows:
            ours = notes.get(row["id"], {})
            self._notes[row["code"]] = sorted(ours)
            # Two of ours are one too many: what they say together is what nobody wants, so they are written anew.
            text = "\n\n".join(ours[note] for note in sorted(ours))
            lists = frozenset(names[each] for each in row["categories"] if each in names)
            found[row["code"]] = Remote(str(row["id"]), lists, {NOTE: text})
        return found

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Create parties, then change categories, then notes: a call each for all customers."""
        ids = {change.customer_id: int(change.remote_id) for change in changes if change.remote_id is not None}
        if new := [change for change in changes if change.remote_id is None]:
            created = self._rpc.call(PARTY, "create", [self._party_values(change) for change in new])
            ids.update(zip((change.customer_id for change in new), created, strict=True))
        moved: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
        for change in changes:
            if change.remote_id is not None and (change.added or change.removed):
                moved[change.added, change.removed].append(ids[change.customer_id])
        if moved:
            pairs = [part for (added, removed), parties in moved.items() for part in (parties, self._category_commands(added, removed))]
            self._rpc.call(PARTY, "write", *pairs)
        self._write_notes(changes, ids)
        return [RowResult(change.customer_id, Outcome.WRITTEN, str(ids[change.customer_id])) for change in changes]

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Delete these parties; of one that documents refer to, all that tells who it was is overwritten, as Tryton's own wizard does."""
        numbers = {int(remote) for remote in remotes.values()}
        rows = self._rpc.search_read(PARTY, ["OR", ["id", "in", sorted(numbers)], ["code", "in", sorted(remotes)]], ["id"], HIDDEN_TOO)
        for row in rows:
            if notes := self._rpc.call(NOTE_MODEL, "search", [["resource", "=", f"{PARTY},{row['id']}"]]):
                self._rpc.call(NOTE_MODEL, "delete", notes)
            if not self._rpc.is_accepted(PARTY, "delete", [row["id"]]):
                # The code is our id of the customer, which the wizard leaves.
                self._rpc.call(
                    PARTY,
                    "write",
                    [row["id"]],
                    {"active": False, "code": f"erased-{row['id']}", "categories": [["remove", self._managed_ids()]]},
                )
                self._rpc.run_wizard("party.erase", "ask", {"party": row["id"]}, "erase")

    def managed_customers(self) -> Iterator[str]:
        """Yield the codes of all parties that are in any category below our root."""
        managed, last = self._managed_ids(), 0
        while managed:
            domain = [["categories", "in", managed], ["id", ">", last], ["code", "!=", None]]
            rows = self._rpc.search_read(PARTY, domain, ["code"], HIDDEN_TOO, limit=PAGE)
            yield from (row["code"] for row in rows)
            if len(rows) < PAGE:
                return
            last = max(row["id"] for row in rows)

    def opted_out(self) -> Collection[str] | None:
        """Return the codes of the parties in the category that the setting `opt_out_category` names."""
        name = self.definition.settings.get("opt_out_category")
        if not name:
            return None
        categories = [row["id"] for row in self._rpc.search_read(CATEGORY, [["name", "=", name]], ["name"])]
        if not categories:
            todo = "Make it in the CRM, or correct the setting."
            raise ConfigError(
                f"there is no category `{name}` in the CRM, which opt-outs are read from", where=self.definition.where, todo=todo
            )
        rows = self._rpc.search_read(PARTY, [["categories", "in", categories], ["code", "!=", None]], ["code"], HIDDEN_TOO)
        return {row["code"] for row in rows}

    def close(self) -> None:
        """Log out and close connections."""
        self._rpc.close()

    def _party_values(self, change: Change) -> dict[str, Any]:
        contacts = [{"type": kind, "value": change.contacts[kind]} for kind in ("email", "phone") if change.contacts.get(kind)]
        return {
            "code": change.customer_id,
            "name": change.contacts.get("name") or None,
            "contact_mechanisms": [["create", contacts]] if contacts else [],
            "addresses": [],  # by default an empty one is made
            **self._category_commands(change.added, ()),
        }

    def _category_commands(self, added: Sequence[str], removed: Sequence[str]) -> dict[str, Any]:
        ids = self._category_ids()
        commands = (("remove", [ids[name] for name in removed]), ("add", [ids[name] for name in added]))
        return {"categories": [[action, categories] for action, categories in commands if categories]}

    def _read_notes(self, parties: Sequence[int]) -> dict[int, dict[int, str]]:
        """Return the texts of our notes by party and number."""
        if not parties:
            return {}
        domain = [
            ["resource", "in", [f"{PARTY},{party}" for party in parties]],
            ["create_uid", "=", self._rpc.user_id],
            ["message", "like", f"{NOTE_START}%"],
        ]
        rows = self._rpc.search_read(NOTE_MODEL, domain, ["resource", "message"])
        notes: dict[int, dict[int, str]] = defaultdict(dict)
        for row in rows:
            notes[int(row["resource"].split(",")[1])][row["id"]] = row["message"] or ""
        return notes

    def _write_notes(self, changes: Sequence[Change], ids: Mapping[str, int]) -> None:
        """Put a new note in the place of ours: Tryton lets nobody change the text of a note, and a new one is shown as unread."""
        texts = {change.customer_id: change.fields[NOTE] for change in changes if NOTE in change.fields}
        if new := [{"resource": f"{PARTY},{ids[customer]}", "message": text} for customer, text in texts.items() if text]:
            self._rpc.call(NOTE_MODEL, "create", new)
        # Last: what breaks off here leaves a note too many, which is found, and never none.
        if gone := [note for customer in texts for note in self._notes.get(customer, ())]:
            self._rpc.call(NOTE_MODEL, "delete", gone)

    def _category_ids(self) -> dict[str, int]:
        """Return the categories below our root by the names of lists; one that is no list has a name that no list has."""
        if self._categories is None:
            names: dict[tuple[str, ...], str] = {(each.group, each.title): each.name for each in self.lists}
            tree = self._category_tree()
            self._categories = {names.get(path, f"{_UNKNOWN}{number}"): number for path, number in tree.items() if path}
        return self._categories

    def _managed_ids(self) -> list[int]:
        return sorted(self._category_ids().values())

    def _category_tree(self) -> dict[tuple[str, ...], int]:
        """Return the numbers of our categories by the names on the way to them from the root, which itself is the empty way."""
        roots = self._rpc.search_read(CATEGORY, [["name", "=", self._root], ["parent", "=", None]], ["name"], HIDDEN_TOO)
        if not roots:
            return {}
        root = roots[0]["id"]
        below = self._rpc.search_read(CATEGORY, [["parent", "child_of", [root], "parent"]], ["name", "parent", "active"], HIDDEN_TOO)
        if hidden := [row["id"] for row in below if not row["active"]]:
            self._rpc.call(CATEGORY, "write", hidden, {"active": True})
        ways: dict[int, tuple[str, ...]] = {root: ()}
        waiting = [row for row in below if row["id"] != root]
        while waiting:
            ready = [row for row in waiting if row["parent"] in ways]
            ways.update({row["id"]: (*ways[row["parent"]], row["name"]) for row in ready})
            waiting = [row for row in waiting if row["id"] not in ways] if ready else []
        return {way: number for number, way in ways.items()}

    def _create_category(self, name: str, parent: int | None) -> int:
        created: list[int] = self._rpc.call(CATEGORY, "create", [{"name": name, "parent": parent}])
        return created[0]
