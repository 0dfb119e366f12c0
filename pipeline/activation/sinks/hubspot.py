"""HubSpot through its own SDK: contacts by a property of ours whose values are unique, and a manual list for each of our lists.

A contact carries our key in `segments_customer_id` and the lists it is on in `segments_lists`. Both are properties that nobody else
writes, so 100 contacts are read back in one call. Memberships are changed first and the property last: what broke off between the two
is found, and adding a member twice does no harm. A membership that somebody changed by hand in HubSpot is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import urllib3.exceptions
from hubspot.crm import contacts as contacts_api
from hubspot.crm import lists as lists_api
from hubspot.crm import properties as properties_api

from pipeline.activation.sinks.http import LONGEST_MESSAGE, origin, raise_for_status, split_address
from pipeline.activation.sinks.sink import Ambiguous, Change, Customer, Remote, RowResult, Sink, changes_by_list, results_of
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError

KEY, LISTS = "segments_customer_id", "segments_lists"
OPTED_OUT = "hs_email_optout"
CONTACTS = "0-1"
GROUP = "contactinformation"
SEPARATOR = ";"
TIMEOUT_SECONDS = 60
PAGE = 100
EXCEPTIONS = (contacts_api.ApiException, lists_api.ApiException, properties_api.ApiException)


class HubSpotSink(Sink):
    """Contacts and lists of one portal; its connection is `https://:TOKEN@api.hubapi.com`, with the token of a private app."""

    batch_rows: ClassVar[int] = 100

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        super().__init__(definition, address, folder)
        definition.require_settings("list_prefix")
        parts = split_address(address, definition.where)
        if not parts.password:
            todo = "Write it as https://:TOKEN@api.hubapi.com."
            raise ConfigError("the connection has no token", where=definition.where, todo=todo)
        self._where = origin(parts)
        self._clients = [self._client(module, parts.password) for module in (contacts_api, lists_api, properties_api)]
        contacts, lists, properties = self._clients
        self._batches, self._contacts = contacts_api.BatchApi(contacts), contacts_api.BasicApi(contacts)
        self._search = contacts_api.SearchApi(contacts)
        self._lists, self._memberships = lists_api.ListsApi(lists), lists_api.MembershipsApi(lists)
        self._properties = properties_api.CoreApi(properties)
        self._prefix = definition.setting("list_prefix", "Segments")
        self._list_ids: dict[str, str] = {}
        self._known_properties: set[str] = set()

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return contacts by our key; HubSpot answers 207 where some are not there."""
        names = [KEY, LISTS, *self.definition.profile_fields]
        inputs = [contacts_api.SimplePublicObjectId(id=each.customer_id) for each in customers]
        request = contacts_api.BatchReadInputSimplePublicObjectId(
            properties=names, properties_with_history=[], id_property=KEY, inputs=inputs
        )
        if not self._is_property(KEY):
            return {}
        answer = self._call(self._batches.read, request)
        found = {}
        for contact in answer.results:
            held = contact.properties
            lists = frozenset(filter(None, (held.get(LISTS) or "").split(SEPARATOR)))
            found[held[KEY]] = Remote(contact.id, lists, {name: held.get(name) or "" for name in self.definition.profile_fields})
        return found

    def ensure_vocabulary(self) -> None:
        """Make our properties and lists, as far as they are missing."""
        labels = {KEY: "Customer id (segments)", LISTS: "Lists (segments)"}
        for name in (KEY, LISTS, *self.definition.profile_fields):
            if not self._is_property(name):
                field = {"type": "string", "field_type": "text" if name == KEY else "textarea", "group_name": GROUP}
                new = properties_api.PropertyCreate(name=name, label=labels.get(name, name), has_unique_value=name == KEY, **field)
                self._call(self._properties.create, "contacts", new)
        for each in self.lists:
            self._list_id(each.name)

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Make new contacts, change memberships list by list, and note in each contact what it is on now."""
        ids: dict[str, str] = {change.customer_id: change.remote_id for change in changes if change.remote_id is not None}
        new = [change for change in changes if change.remote_id is None]
        refused = self._upsert(new, lambda change: {KEY: change.customer_id, **change.contacts}, ids) if new else {}
        ready = [change for change in changes if change.customer_id in ids]
        self._change_memberships(ready, ids)
        if ready:
            refused |= self._upsert(ready, self._properties_of, ids)
        return results_of(changes, refused, lambda change: ids.get(change.customer_id))

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Have HubSpot delete these contacts for good, as the GDPR asks for."""
        for remote in remotes.values():
            try:
                self._call(self._contacts.purge, contacts_api.PublicGdprDeleteInput(object_id=remote), missing_is_fine=True)
            except KeyError:
                continue

    def managed_customers(self) -> Iterator[str]:
        """Yield our key of every contact that carries any of our lists."""
        after = None
        while True:
            page = self._call(self._contacts.get_page, limit=PAGE, after=after, properties=[KEY, LISTS])
            for contact in page.results:
                if contact.properties.get(LISTS) and contact.properties.get(KEY):
                    yield contact.properties[KEY]
            if page.paging is None or page.paging.next is None:
                return
            after = page.paging.next.after

    def opted_out(self) -> Collection[str] | None:
        """Return the contacts who unsubscribed from all e-mail."""
        if not self._is_property(KEY):
            return ()
        conditions = [{"propertyName": OPTED_OUT, "operator": "EQ", "value": "true"}, {"propertyName": KEY, "operator": "HAS_PROPERTY"}]
        found: set[str] = set()
        after = None
        while True:
            request = {"filterGroups": [{"filters": conditions}], "properties": [KEY], "limit": PAGE, "sorts": [], "after": after}
            page = self._call(self._search.do_search, request)
            found.update(contact.properties[KEY] for contact in page.results)
            if page.paging is None or page.paging.next is None:
                return found
            after = page.paging.next.after

    def close(self) -> None:
        """Close connections."""
        for client in self._clients:
            client.close()

    def _properties_of(self, change: Change) -> dict[str, str]:
        return {KEY: change.customer_id, LISTS: SEPARATOR.join(sorted(change.lists)), **change.fields}

    def _upsert(
        self, changes: Sequence[Change], properties: Callable[[Change], Mapping[str, str]], ids: dict[str, str]
    ) -> dict[str, tuple[str, str]]:
        """Upsert contacts by our key, note their record ids in `ids`, and return code and message of those refused."""
        inputs = [
            contacts_api.SimplePublicObjectBatchInputUpsert(id=each.customer_id, id_property=KEY, properties=dict(properties(each)))
            for each in changes
        ]
        answer = self._call(self._batches.upsert, contacts_api.BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs))
        written = {contact.properties.get(KEY): contact.id for contact in answer.results}
        ids.update(written)
        # Of a mixed answer (207) each error names those it is about; whoever is neither there nor named was refused all the same.
        errors = list(getattr(answer, "errors", None) or [])
        named = {customer: error for error in errors for values in (error.context or {}).values() for customer in values}
        refused = {}
        for change in changes:
            if change.customer_id not in written:
                error = named.get(change.customer_id, errors[0] if errors else None)
                refused[change.customer_id] = (error.category, error.message[:LONGEST_MESSAGE]) if error else ("", "no result")
                ids.pop(change.customer_id, None)
        return refused

    def _change_memberships(self, changes: Sequence[Change], ids: Mapping[str, str]) -> None:
        for name, moved in changes_by_list(changes).items():
            added, removed = ([ids[change.customer_id] for change in found] for found in (moved.added, moved.removed))
            request = lists_api.MembershipChangeRequest(record_ids_to_add=added, record_ids_to_remove=removed)
            self._call(self._memberships.add_and_remove, self._list_id(name), request)

    def _list_id(self, name: str) -> str:
        if name not in self._list_ids:
            # By the name that does not change: a list that is ours no more is found by it, to be emptied. It is a part of a path,
            # so there is no slash in it.
            title = f"{self._prefix}: {name}"
            try:
                found = self._call(self._lists.get_by_name, title, CONTACTS, missing_is_fine=True).list
            except KeyError:
                found = self._call(
                    self._lists.create, lists_api.ListCreateRequest(object_type_id=CONTACTS, processing_type="MANUAL", name=title)
                ).list
            self._list_ids[name] = found.list_id
        return self._list_ids[name]

    def _is_property(self, name: str) -> bool:
        if name not in self._known_properties:
            try:
                self._call(self._properties.get_by_name, "contacts", name, missing_is_fine=True)
            except KeyError:
                return False
            self._known_properties.add(name)
        return True

    def _call(self, method: Callable[..., Any], *arguments: Any, missing_is_fine: bool = False, **options: Any) -> Any:  # noqa: ANN401 - the SDK has no types
        """Return what the SDK returns; raises KeyError where something is missing and that is fine, else as `Sink` methods do."""
        with _translated_errors(self._where, missing_is_fine=missing_is_fine):
            return method(*arguments, _request_timeout=TIMEOUT_SECONDS, **options)

    def _client(self, module: Any, token: str) -> Any:  # noqa: ANN401 - the SDK has no types
        configuration = module.Configuration(host=self._where)
        configuration.access_token = token
        # The SDK would send a call again by itself that may have been carried out.
        configuration.retries = False
        return module.ApiClient(configuration)


@contextmanager
def _translated_errors(where: str, *, missing_is_fine: bool) -> Iterator[None]:
    try:
        yield
    except EXCEPTIONS as error:
        if error.status == HTTPStatus.NOT_FOUND and missing_is_fine:
            raise KeyError(where) from None
        if not error.status:
            raise Ambiguous("the sink cannot be reached", where=where) from None
        raise_for_status(error.status, error.headers or {}, where=where, message=str(error.body))
        raise
    except urllib3.exceptions.HTTPError as error:
        raise Ambiguous(f"the sink cannot be reached: {type(error).__name__}", where=where) from None
