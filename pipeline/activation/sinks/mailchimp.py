"""Mailchimp: members of one audience by their e-mail address, and a tag for each of our lists.

A tag is a static segment whose name begins with our prefix; other tags are never touched. Members are read in pages of 1,000 once, and
again after a call that failed. Mailchimp answers 200 with errors inside: each of them is a customer whom it refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import md5
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from pipeline.activation.sinks.http import LONGEST_MESSAGE, HttpClient
from pipeline.activation.sinks.sink import Change, Customer, Refused, Remote, RowResult, Sink, changes_by_list, results_of
from pipeline.definitions.sinks import NEXT_ACTION_NOTE, SinkDefinition
from pipeline.errors import ConfigError, PipelineError

EMAIL, KEY = "email_address", "CUSTOMERID"
PAGE = 1000
SAID_NO = ("unsubscribed", "cleaned")
LONGEST_FIELD = 255


class MailchimpSink(Sink):
    """Members and tags of the audience that the setting `list_id` names; its connection is `https://:API_KEY@<dc>.api.mailchimp.com`."""

    batch_rows: ClassVar[int] = 500

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        super().__init__(definition, address, folder)
        definition.require_settings("list_id", "tag_prefix")
        if definition.fields.get(EMAIL) != "email" or definition.fields.get(KEY) != "customer_id":
            todo = f'Add to [fields]: {EMAIL} = "email" and {KEY} = "customer_id".'
            raise ConfigError("members of Mailchimp need an e-mail address and our key", where=definition.where, todo=todo)
        if NEXT_ACTION_NOTE in definition.fields.values():
            todo = "Take next_action_title."
            raise ConfigError(f"`{NEXT_ACTION_NOTE}` is longer than a field of Mailchimp", where=definition.where, todo=todo)
        self._client = HttpClient(address, where=definition.where)
        self._path = f"/3.0/lists/{definition.setting('list_id')}"
        self._prefix = definition.setting("tag_prefix", "seg: ")
        self._members: dict[str, dict[str, Any]] | None = None
        self._ids_by_key: dict[str, str] = {}
        self._tags: dict[str, int] | None = None

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return members by the address that we know of each customer, else by the one that was acknowledged, else by our key in them."""
        members, found = self._read_members(), {}
        for customer in customers:
            email = customer.contacts.get(EMAIL)
            ids = (_member_id(email) if email else "", customer.remote_id or "", self._ids_by_key.get(customer.customer_id, ""))
            member = next((members[each] for each in ids if each in members), None)
            if member is not None:
                found[customer.customer_id] = self._remote(member)
        return found

    def ensure_vocabulary(self) -> None:
        """Make tags and merge fields that are missing."""
        answer = self._call("GET", "/merge-fields", params={"count": PAGE})
        known = {field["tag"] for field in answer["merge_fields"]}
        for name in self.definition.fields:
            if name != EMAIL and name not in known:
                self._call("POST", "/merge-fields", json={"tag": name, "name": name, "type": "text"})
        for each in self.lists:
            self._tag_id(each.name)

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Subscribe new members, change fields, then change tags one by one for all members."""
        try:
            refused = self._subscribe([change for change in changes if change.remote_id is None])
            for change in changes:
                if change.remote_id is not None and change.fields:
                    refused |= self._change_fields(change)
            refused |= self._change_tags([change for change in changes if change.customer_id not in refused])
        except PipelineError:
            self._members = None  # nobody knows what is there now
            raise
        self._note_applied(changes, refused)
        return results_of(changes, refused, self._id_of)

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Have Mailchimp delete these members for good."""
        for remote in remotes.values():
            try:
                self._client.call("POST", f"{self._path}/members/{remote}/actions/delete-permanent", auth=self._auth)
            except Refused as refused:
                if refused.code != f"HTTP {HTTPStatus.NOT_FOUND}":
                    raise
        self._members = None

    def managed_customers(self) -> Iterator[str]:
        """Yield our key of every member who has any of our tags."""
        for member in self._read_members().values():
            key = member["merge_fields"].get(KEY)
            if key and self._remote(member).lists:
                yield key

    def opted_out(self) -> Collection[str] | None:
        """Return our key of every member who unsubscribed, or whose address does not work."""
        members = (member for status in SAID_NO for member in self._pages_of_members("members.merge_fields", status=status))
        return {member["merge_fields"][KEY] for member in members if member["merge_fields"].get(KEY)}

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    @property
    def _auth(self) -> tuple[str, str]:
        return ("segments", self._client.password)

    def _call(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - JSON
        return self._client.call_json(method, f"{self._path}{path}", auth=self._auth, **content)

    def _read_members(self) -> dict[str, dict[str, Any]]:
        if self._members is None:
            fields = "members.id,members.email_address,members.status,members.tags,members.merge_fields"
            members = {member["id"]: member for member in self._pages_of_members(fields)}
            self._members = members
            self._ids_by_key = {str(each["merge_fields"].get(KEY)): number for number, each in members.items()}
        return self._members

    def _pages_of_members(self, fields: str, **only: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while page := self._call("GET", "/members", params={"count": PAGE, "offset": offset, "fields": fields, **only})["members"]:
            yield from page
            offset += len(page)
            if len(page) < PAGE:
                return

    def _remote(self, member: Mapping[str, Any]) -> Remote:
        names = {self._tag_name(each.name): each.name for each in self.lists}
        tags = (tag["name"] for tag in member["tags"] if tag["name"].startswith(self._prefix))
        # One of ours that is no list any more is removed under its own name.
        lists = frozenset(names.get(tag, tag) for tag in tags)
        return Remote(member["id"], lists, {name: str(member["merge_fields"].get(name) or "") for name in self.definition.profile_fields})

    def _subscribe(self, changes: Sequence[Change]) -> dict[str, tuple[str, str]]:
        """Add new members, and return code and message of those refused."""
        lacking = {change.customer_id: ("no_email", "no e-mail address is known") for change in changes if not change.contacts.get(EMAIL)}
        by_email = {change.contacts[EMAIL].lower(): change.customer_id for change in changes if change.customer_id not in lacking}
        members = [
            {
                EMAIL: change.contacts[EMAIL],
                "status": "subscribed",
                "merge_fields": {
                    name: value[:LONGEST_FIELD] for name, value in {**change.contacts, **change.fields}.items() if name != EMAIL
                },
            }
            for change in changes
            if change.customer_id not in lacking
        ]
        if not members:
            return lacking
        answer = self._call("POST", "", json={"members": members, "update_existing": False})
        return lacking | {
            by_email[error[EMAIL].lower()]: (error.get("error_code", ""), error["error"][:LONGEST_MESSAGE]) for error in answer["errors"]
        }

    def _change_fields(self, change: Change) -> dict[str, tuple[str, str]]:
        fields = {name: value[:LONGEST_FIELD] for name, value in change.fields.items()}
        try:
            self._call("PATCH", f"/members/{change.remote_id}", json={"merge_fields": fields})
        except Refused as refused:
            return {change.customer_id: (refused.code, refused.message)}
        return {}

    def _change_tags(self, changes: Sequence[Change]) -> dict[str, tuple[str, str]]:
        """Add and remove members tag by tag, and return code and message of those refused."""
        refused = {}
        for name, moved in changes_by_list(changes).items():
            ways = {"members_to_add": moved.added, "members_to_remove": moved.removed}
            content = {way: [self._email_of(change) for change in members] for way, members in ways.items()}
            answer = self._call("POST", f"/segments/{self._tag_id(name)}", json=content)
            by_email = {self._email_of(change): change.customer_id for members in ways.values() for change in members}
            for error in answer["errors"]:
                for email in error.get("email_addresses", ()):
                    refused[by_email[email]] = ("tag", error["error"][:LONGEST_MESSAGE])
        return refused

    def _note_applied(self, changes: Sequence[Change], refused: Collection[str]) -> None:
        """Bring what was read to what has been written, so that no member is read again for it."""
        members = self._read_members()
        for change in changes:
            if change.customer_id in refused:
                continue
            new: dict[str, Any] = {
                "id": self._id_of(change),
                "status": "subscribed",
                "tags": [],
                "merge_fields": {},
                EMAIL: change.contacts.get(EMAIL),
            }
            member = members.setdefault(self._id_of(change), new)
            gone = {self._tag_name(name) for name in change.removed}
            kept = [tag for tag in member["tags"] if tag["name"] not in gone]
            member["tags"] = [*kept, *({"name": self._tag_name(name)} for name in change.added)]
            member["merge_fields"] = {**member["merge_fields"], **change.fields}

    def _id_of(self, change: Change) -> str:
        return change.remote_id or _member_id(change.contacts[EMAIL])

    def _email_of(self, change: Change) -> str:
        return str(self._read_members()[change.remote_id][EMAIL]) if change.remote_id else change.contacts[EMAIL]

    def _tag_name(self, name: str) -> str:
        titles = {each.name: f"{self._prefix}{each.group} / {each.title}" for each in self.lists}
        return titles.get(name, name)

    def _tag_id(self, name: str) -> int:
        if self._tags is None:
            answer = self._call("GET", "/segments", params={"type": "static", "count": PAGE})
            self._tags = {segment["name"]: segment["id"] for segment in answer["segments"]}
        title = self._tag_name(name)
        if title not in self._tags:
            self._tags[title] = self._call("POST", "/segments", json={"name": title, "static_segment": []})["id"]
        return self._tags[title]


def _member_id(email: str) -> str:
    """Return the id that Mailchimp gives a member: MD5 of the address in small letters."""
    return md5(email.lower().encode(), usedforsecurity=False).hexdigest()
