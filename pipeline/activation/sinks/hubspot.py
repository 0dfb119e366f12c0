"""HubSpot through its own SDK: contacts by a property of ours whose values are unique, and a manual list for each of our lists.

A contact carries our key in `segments_customer_id`, a property that nobody else writes. Contacts are read back 100 in one call, and
which of our lists they are on as the lists themselves say: what somebody changed there by hand is found.
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
from pipeline.activation.sinks.hubspot_lists import HubSpotLists
from pipeline.activation.sinks.sink import Ambiguous, Change, Customer, Remote, RowResult, Sink, results_of
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError, PipelineError
from pipeline.tls import tls_error

KEY = "segments_customer_id"
OPTED_OUT = "hs_email_optout"
GROUP = "contactinformation"
TIMEOUT_SECONDS = 60
PAGE = 100
UNREACHABLE = "the sink cannot be reached"
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
        self._lists = HubSpotLists(lists, self._call, definition.setting("list_prefix", "Segments"), lambda: self.lists)
        self._properties = properties_api.CoreApi(properties)
        self._known_properties: set[str] = set()

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return contacts by our key."""
        if not self._is_property(KEY):
            return {}
        contacts = [each for page in _pages([one.customer_id for one in customers]) for each in self._read(page, KEY)]
        lists = self._lists.lists_of([contact.id for contact in contacts])
        fields = self.definition.profile_fields
        return {
            contact.properties[KEY]: Remote(
                contact.id, lists.get(contact.id, frozenset()), {name: contact.properties.get(name) or "" for name in fields}
            )
            for contact in contacts
        }

    def ensure_vocabulary(self) -> None:
        """Make our properties and lists, as far as they are missing."""
        labels = {KEY: "Customer id (segments)"}
        for name in (KEY, *self.definition.profile_fields):
            if not self._is_property(name):
                field = {"type": "string", "field_type": "text" if name == KEY else "textarea", "group_name": GROUP}
                new = properties_api.PropertyCreate(name=name, label=labels.get(name, name), has_unique_value=name == KEY, **field)
                self._call(self._properties.create, "contacts", new)
        self._lists.ensure_named()

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Make new contacts and change our fields, then memberships, list by list; who is refused is put on no list."""
        ids: dict[str, str] = {change.customer_id: change.remote_id for change in changes if change.remote_id is not None}
        try:
            written = [change for change in changes if change.remote_id is None or change.fields]
            refused = self._upsert(written, ids) if written else {}
            self._lists.change_members([change for change in changes if change.customer_id in ids], ids)
        except PipelineError:
            self._lists.forget_members()
            raise
        return results_of(changes, refused, lambda change: ids.get(change.customer_id))

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Have HubSpot delete these contacts for good, as the GDPR asks for."""
        for remote in remotes.values():
            try:
                self._call(self._contacts.purge, contacts_api.PublicGdprDeleteInput(object_id=remote), missing_is_fine=True)
            except KeyError:
                continue

    def managed_customers(self) -> Iterator[str]:
        """Yield our key of every contact who is on any of our lists; of one that has no key of ours we know nothing."""
        for page in _pages(self._lists.members()):
            yield from (contact.properties[KEY] for contact in self._read(page, None) if contact.properties.get(KEY))

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

    def _read(self, ids: Sequence[str], by: str | None) -> list[Any]:
        """Return at most 100 contacts by a property, or by their record ids; HubSpot answers 207 where some are not there."""
        inputs = [contacts_api.SimplePublicObjectId(id=each) for each in ids]
        request = contacts_api.BatchReadInputSimplePublicObjectId(
            properties=[KEY, *self.definition.profile_fields], properties_with_history=[], id_property=by, inputs=inputs
        )
        return list(self._call(self._batches.read, request).results)

    def _upsert(self, changes: Sequence[Change], ids: dict[str, str]) -> dict[str, tuple[str, str]]:
        """Upsert contacts by our key, note their record ids in `ids`, and return code and message of those refused.

        What a new contact is made of stays as it is in one that is there.
        """
        inputs = [
            contacts_api.SimplePublicObjectBatchInputUpsert(
                id=each.customer_id,
                id_property=KEY,
                properties={KEY: each.customer_id, **({} if each.remote_id else each.contacts), **each.fields},
            )
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


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))


@contextmanager
def _translated_errors(where: str, *, missing_is_fine: bool) -> Iterator[None]:
    try:
        yield
    except (*EXCEPTIONS, AttributeError) as error:
        # Where TLS fails the SDK trips over the body of an answer that never came, while it handles its own error.
        failed = error.__context__ if isinstance(error, AttributeError) else error
        if not isinstance(failed, EXCEPTIONS):
            raise
        if failed.status == HTTPStatus.NOT_FOUND and missing_is_fine:
            raise KeyError(where) from None
        if not failed.status:
            raise tls_error(UNREACHABLE, failed, where=where) or Ambiguous(UNREACHABLE, where=where) from None
        raise_for_status(failed.status, failed.headers or {}, where=where, message=str(failed.body))
        raise
    except urllib3.exceptions.HTTPError as error:
        raise tls_error(UNREACHABLE, error, where=where) or Ambiguous(f"{UNREACHABLE}: {type(error).__name__}", where=where) from None
