"""Lists of HubSpot that are ours, and who is on them.

A list is ours by its name, `Segments: At risk (lifecycle.at_risk)`: our prefix, the title for people, and the name that does not change.
So a list is found whatever its title was, and renamed once the title changes; one that is no list of ours any more is found to be emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hubspot.crm import lists as lists_api

from pipeline.activation.sinks.sink import Change, ManagedList, changes_by_list

CONTACTS = "0-1"
LISTS_PAGE, MEMBERS_PAGE = 500, 250
MOST_SINGLE_READS = 500
"""Of as many contacts the lists are read one by one; of more, the members of all our lists once, which takes fewer calls."""


@dataclass(frozen=True, slots=True)
class _FoundList:
    list_id: str
    title: str


class HubSpotLists:
    """Our lists in one portal; `call` calls the SDK, `managed` returns the lists that should be there."""

    def __init__(self, client: Any, call: Callable[..., Any], prefix: str, managed: Callable[[], Sequence[ManagedList]]) -> None:  # noqa: ANN401 - the SDK has no types
        self._lists, self._memberships = lists_api.ListsApi(client), lists_api.MembershipsApi(client)
        # A name is a part of a path when a list is looked up by it.
        self._call, self._prefix, self._managed = call, prefix.replace("/", "-"), managed
        self._found: dict[str, _FoundList] | None = None
        self._members: dict[str, frozenset[str]] | None = None
        self._single_reads = 0

    def ensure_named(self) -> None:
        """Make the lists that are missing, and rename those whose title changed."""
        for each in self._managed():
            found, title = self._by_name().get(each.name), self._title_of(each)
            if found is None:
                self._create(each.name, title)
            elif found.title != title:
                self._call(self._lists.update_name, found.list_id, list_name=title)
                self._by_name()[each.name] = _FoundList(found.list_id, title)

    def lists_of(self, records: Sequence[str]) -> dict[str, frozenset[str]]:
        """Return which of our lists contacts are on, by record id, as HubSpot says."""
        if self._members is None and self._single_reads + len(records) > MOST_SINGLE_READS:
            self._members = self._read_members()
        if self._members is not None:
            return {record: self._members.get(record, frozenset()) for record in records}
        self._single_reads += len(records)
        names = {found.list_id: name for name, found in self._by_name().items()}
        read = {record: self._call(self._memberships.get_lists, CONTACTS, record).results for record in records} if names else {}
        return {record: frozenset(names[each.list_id] for each in found if each.list_id in names) for record, found in read.items()}

    def members(self) -> list[str]:
        """Return the record ids of all members of our lists."""
        if self._members is None:
            self._members = self._read_members()
        return sorted(record for record, names in self._members.items() if names)

    def change_members(self, changes: Sequence[Change], ids: dict[str, str]) -> None:
        """Put contacts on lists and take them off; `ids` has the record id of each customer."""
        for name, moved in changes_by_list(changes).items():
            added, removed = ([ids[change.customer_id] for change in found] for found in (moved.added, moved.removed))
            request = lists_api.MembershipChangeRequest(record_ids_to_add=added, record_ids_to_remove=removed)
            self._call(self._memberships.add_and_remove, self._list_id(name), request)
        if self._members is not None:
            self._members.update({ids[change.customer_id]: change.lists for change in changes})

    def forget_members(self) -> None:
        """Read members again before they are needed next: nobody knows which of them a call has changed."""
        self._members = None

    def _read_members(self) -> dict[str, frozenset[str]]:
        held: dict[str, frozenset[str]] = {}
        alike: dict[frozenset[str], frozenset[str]] = {}  # customers of the same lists share one set
        for name, found in sorted(self._by_name().items()):
            after = None
            while True:
                page = self._call(self._memberships.get_page, found.list_id, limit=MEMBERS_PAGE, after=after)
                for member in page.results:
                    names = held.get(member.record_id, frozenset()) | {name}
                    held[member.record_id] = alike.setdefault(names, names)
                if page.paging is None or page.paging.next is None:
                    break
                after = page.paging.next.after
        return held

    def _by_name(self) -> dict[str, _FoundList]:
        """Return our lists in the portal by their names; one that is ours no more goes by its title."""
        if self._found is None:
            self._found, offset = {}, 0
            while True:
                request = lists_api.ListSearchRequest(query=self._prefix, processing_types=["MANUAL"], offset=offset, count=LISTS_PAGE)
                page = self._call(self._lists.do_search, request)
                ours = (each for each in page.lists if each.object_type_id == CONTACTS and each.name.startswith(f"{self._prefix}: "))
                self._found |= {self._name_of(each.name): _FoundList(each.list_id, each.name) for each in ours}
                if not page.has_more:
                    break
                offset = page.offset
        return self._found

    def _list_id(self, name: str) -> str:
        if name not in self._by_name():
            [title] = [self._title_of(each) for each in self._managed() if each.name == name]
            self._create(name, title)
        return self._by_name()[name].list_id

    def _create(self, name: str, title: str) -> None:
        # A list that was made a moment ago may not be found by searching yet.
        try:
            found = self._call(self._lists.get_by_name, title, CONTACTS, missing_is_fine=True).list
        except KeyError:
            request = lists_api.ListCreateRequest(object_type_id=CONTACTS, processing_type="MANUAL", name=title)
            found = self._call(self._lists.create, request).list
        self._by_name()[name] = _FoundList(found.list_id, title)

    def _title_of(self, each: ManagedList) -> str:
        return f"{self._prefix}: {each.title} ({each.name})".replace("/", "-")

    def _name_of(self, title: str) -> str:
        names = sorted((each.name for each in self._managed()), key=len, reverse=True)
        return next((name for name in names if title.endswith(f" ({name})".replace("/", "-"))), title)
