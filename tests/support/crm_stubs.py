"""Servers on loopback that answer as HubSpot, Mailchimp and a receiver of webhooks do, by their public documentation.

HubSpot: a batch has at most 100 inputs, else 400; a contact that is refused is named in a 207; 429 has Retry-After; adding a member
twice is ignored, and so is one who does not exist; members of a list come in pages of at most 250, in the order of their ids; names of
lists are unique; searching lists finds those whose name has the words in it.

Mailchimp: at most 500 members, refusals are in a 200. What a stub holds is plain, for tests to look at and to change.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]
STAMP = "2024-03-01T00:00:00Z"
ADDED = {"firstAddedTimestamp": STAMP, "lastAddedTimestamp": STAMP}
NOT_FOUND: Answer = (404, {"status": "error", "message": "resource not found", "category": "OBJECT_NOT_FOUND"})


class Stub:
    """Answers requests; `troubles` are statuses that come first, each as (status, headers, whether the call is carried out)."""

    def __init__(self) -> None:
        self.troubles: list[tuple[int, dict[str, str], bool]] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.address = ""

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Answer:
        raise NotImplementedError


@contextmanager
def serving(stub: Stub) -> Iterator[None]:
    """Serve the stub on loopback for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: in two, the second one waits for the client to acknowledge the first

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.requests.append((self.command, self.path, dict(self.headers), body))
            status, headers, is_carried_out = stub.troubles.pop(0) if stub.troubles else (0, {}, True)
            content: Any = {"message": "trouble"}
            if is_carried_out:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query)
                found, content = stub.answer(self.command, unquote(parts.path), query, json.loads(body) if body else None)
                status = status or found
            text = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    stub.address = f"http://:secret@127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class HubSpotStub(Stub):
    """Contacts by record id, members of lists by list id."""

    def __init__(self) -> None:
        super().__init__()
        self.contacts: dict[str, dict[str, str]] = {}
        self.properties: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, str] = {}
        self.members: dict[str, set[str]] = {}
        self.lists_page = 500

    def add_list(self, name: str, *records: str) -> str:
        """Make a list, as a person does by hand, and return its id."""
        number = str(len(self.lists) + 1)
        self.lists[number], self.members[number] = name, set(records)
        return number

    def list_called(self, name: str) -> set[str]:
        """Return the record ids of the members of a list, to be looked at and changed."""
        [number] = [number for number, known in self.lists.items() if known == name]
        return self.members[number]

    def record_of(self, customer: str) -> str:
        """Return the record id of a contact by our key."""
        [number] = [number for number, held in self.contacts.items() if held.get("segments_customer_id") == customer]
        return number

    def named_members(self) -> dict[str, set[str]]:
        """Return our keys of the members of each list by its name; empty lists are left out."""
        found = {
            name: {self.contacts[each].get("segments_customer_id", "") for each in self.members[number]}
            for number, name in self.lists.items()
        }
        return {name: members for name, members in found.items() if members}

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Answer:  # noqa: C901, PLR0911, PLR0912 - one case a call
        parts = path.strip("/").split("/")
        match method, parts[2], parts[3:]:
            case "GET", "properties", [_, name]:
                return (200, self.properties[name]) if name in self.properties else NOT_FOUND
            case "POST", "properties", _:
                self.properties[content["name"]] = content
                return 201, content
            case "GET", "lists", ["object-type-id", _, "name", name]:
                return next(((200, self._list(number)) for number, known in self.lists.items() if known == name), NOT_FOUND)
            case "POST", "lists", [] if content["name"] in self.lists.values():
                return 400, {"status": "error", "category": "VALIDATION_ERROR", "message": "a list with this name exists"}
            case "POST", "lists", []:
                number = str(len(self.lists) + 1)
                self.lists[number], self.members[number] = content["name"], set()
                return 200, self._list(number)
            case "POST", "lists", ["search"]:
                return self._search_lists(content)
            case "PUT", "lists", [number, "update-list-name"]:
                [self.lists[number]] = query["listName"]
                return 200, {"updatedList": self._list(number)["list"]}
            case "GET", "lists", ["records", "0-1", record, "memberships"]:
                found = [{"listId": number, "listVersion": 1, **ADDED} for number, members in self.members.items() if record in members]
                return 200, {"total": len(found), "results": found}
            case "GET", "lists", [number, "memberships"]:
                return self._page_of_members(number, query)
            case "PUT", "lists", [number, "memberships", "add-and-remove"]:
                add, remove = (set(content[key]) & self.contacts.keys() for key in ("recordIdsToAdd", "recordIdsToRemove"))
                missing = {*content["recordIdsToAdd"], *content["recordIdsToRemove"]} - self.contacts.keys()
                self.members[number] = (self.members[number] | add) - remove
                return 200, {"recordsIdsAdded": [*add], "recordIdsRemoved": [*remove], "recordIdsMissing": [*missing]}
            case "POST", "objects", ["contacts", "gdpr-delete"]:
                gone = content["objectId"]
                for members in self.members.values():
                    members.discard(gone)
                return (204, None) if self.contacts.pop(gone, None) else NOT_FOUND
            case "POST", "objects", ["contacts", "search"]:
                found = [number for number, held in self.contacts.items() if held.get("hs_email_optout") == "true"]
                return 200, {"total": len(found), "results": [self._contact(number) for number in found]}
            case "GET", "objects", ["contacts"]:
                return 200, {"results": [self._contact(number) for number in self.contacts]}
            case "POST", "objects", ["contacts", "batch", action]:
                return self._batch(action, content["inputs"], content.get("idProperty", content["inputs"][0].get("idProperty")))
        return NOT_FOUND

    def _search_lists(self, content: dict[str, Any]) -> Answer:
        kinds = content.get("processingTypes") or ["MANUAL"]
        found = [number for number, name in self.lists.items() if content["query"].lower() in name.lower() and "MANUAL" in kinds]
        start, count = content["offset"], min(content["count"], self.lists_page)
        page = [{**self._list(number)["list"], "additionalProperties": {}} for number in found[start : start + count]]
        end = start + len(page)
        return 200, {"total": len(found), "offset": end, "hasMore": end < len(found), "lists": page}

    def _page_of_members(self, number: str, query: dict[str, list[str]]) -> Answer:
        limit, after = int(query.get("limit", ["100"])[0]), query.get("after", [""])[0]
        if limit > 250:
            return 400, {"status": "error", "category": "VALIDATION_ERROR", "message": "limit must be at most 250"}
        left = sorted(record for record in self.members[number] if record > after)
        page = [{"recordId": record, "membershipTimestamp": STAMP} for record in left[:limit]]
        paging = {"paging": {"next": {"after": left[limit - 1]}}} if len(left) > limit else {}
        return 200, {"total": len(self.members[number]), "results": page, **paging}

    def _batch(self, action: str, inputs: list[dict[str, Any]], by: str | None) -> Answer:
        if len(inputs) > 100:
            return 400, {"status": "error", "category": "VALIDATION_ERROR", "message": "the number of inputs must be at most 100"}
        by_key = {held.get("segments_customer_id"): number for number, held in self.contacts.items()}
        results, errors = [], []
        for each in inputs:
            # Without a property a contact is named by its record id.
            number = by_key.get(each["id"]) if by else each["id"] if each["id"] in self.contacts else None
            if action == "read" and number is None:
                errors.append(_error("OBJECT_NOT_FOUND", "no such contact", each["id"]))
            elif action == "upsert" and "@" not in each["properties"].get("email", "@"):
                errors.append(_error("VALIDATION_ERROR", "Property values were not valid: email", each["id"]))
            else:
                number = number or str(1000 + len(self.contacts))
                self.contacts.setdefault(number, {}).update(each.get("properties", {}))
                results.append({**self._contact(number), "new": each["id"] not in by_key})
        stamps = {"startedAt": "2024-03-01T00:00:00Z", "completedAt": "2024-03-01T00:00:00Z"}
        answer = {"status": "COMPLETE", "results": results, **stamps}
        return (207, answer | {"numErrors": len(errors), "errors": errors}) if errors else (200, answer)

    def _contact(self, number: str) -> dict[str, Any]:
        stamp = "2024-03-01T00:00:00Z"
        return {"id": number, "properties": self.contacts[number], "createdAt": stamp, "updatedAt": stamp, "archived": False}

    def _list(self, number: str) -> dict[str, Any]:
        kept = {"listId": number, "name": self.lists[number], "processingType": "MANUAL", "processingStatus": "COMPLETE"}
        return {"list": {**kept, "listVersion": 1, "objectTypeId": "0-1"}}


class MailchimpStub(Stub):
    """Members by the MD5 of their address, tags by number."""

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, dict[str, Any]] = {}
        self.tags: dict[int, str] = {}
        self.fields: list[str] = ["FNAME"]

    def add(self, email: str, *, status: str = "subscribed", tags: tuple[str, ...] = (), **fields: str) -> None:
        """Add a member, as a person does by hand."""
        number = md5(email.lower().encode(), usedforsecurity=False).hexdigest()
        named = [{"id": 0, "name": tag} for tag in tags]
        self.members[number] = {"id": number, "email_address": email, "status": status, "tags": named, "merge_fields": fields}

    def tags_of(self, email: str) -> set[str]:
        """Return the tags of a member."""
        [member] = [each for each in self.members.values() if each["email_address"] == email]
        return {tag["name"] for tag in member["tags"]}

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Answer:  # noqa: PLR0911 - one case a call
        parts = path.strip("/").split("/")[3:]
        match method, parts:
            case "GET", ["merge-fields"]:
                return 200, {"merge_fields": [{"tag": name} for name in self.fields]}
            case "POST", ["merge-fields"]:
                self.fields.append(content["tag"])
                return 200, content
            case "GET", ["segments"]:
                return 200, {"segments": [{"id": number, "name": name} for number, name in self.tags.items()]}
            case "POST", ["segments"]:
                self.tags[len(self.tags) + 1] = content["name"]
                return 200, {"id": len(self.tags), "name": content["name"]}
            case "POST", ["segments", number]:
                return 200, self._change_tag(self.tags[int(number)], content)
            case "GET", ["members"]:
                start, count = int(query["offset"][0]), int(query["count"][0])
                asked = query.get("status", [""])[0]
                found = [member for member in self.members.values() if asked in ("", member["status"])]
                return 200, {"members": found[start : start + count]}
            case "POST", []:
                return (200, self._subscribe(content["members"])) if len(content["members"]) <= 500 else (400, {"title": "Bad Request"})
            case "PATCH", ["members", number]:
                self.members[number]["merge_fields"] |= content["merge_fields"]
                return 200, self.members[number]
            case "POST", ["members", number, "actions", "delete-permanent"]:
                return (204, None) if self.members.pop(number, None) else NOT_FOUND
        return NOT_FOUND

    def _subscribe(self, members: list[dict[str, Any]]) -> dict[str, Any]:
        errors, new = [], []
        for each in members:
            email = each["email_address"]
            if "@" not in email:
                why = {"error": "Please provide a valid email address.", "error_code": "ERROR_GENERIC"}
                errors.append({"email_address": email, **why})
                continue
            self.add(email, status=each["status"], **each["merge_fields"])
            new.append(each)
        return {"new_members": new, "updated_members": [], "errors": errors}

    def _change_tag(self, name: str, content: dict[str, list[str]]) -> dict[str, Any]:
        by_email = {member["email_address"]: member for member in self.members.values()}
        for email in content["members_to_add"]:
            by_email[email]["tags"].append({"id": 0, "name": name})
        for email in content["members_to_remove"]:
            by_email[email]["tags"] = [tag for tag in by_email[email]["tags"] if tag["name"] != name]
        return {"members_added": [], "members_removed": [], "errors": []}


class ReceiverStub(Stub):
    """A receiver of webhooks, who refuses customers in `refused`, and acts on each idempotency key once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Any] = {}
        self.refused: set[str] = set()

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Answer:
        del method, path, query
        if content["customer_id"] in self.refused:
            return 422, {"message": "unknown customer"}
        key = next(value for name, value in self.requests[-1][2].items() if name == "Idempotency-Key")
        self.seen.setdefault(key, content)
        return 200, {}


def _error(category: str, message: str, key: str) -> dict[str, Any]:
    return {"status": "error", "category": category, "message": message, "context": {"ids": [key]}, "errors": [], "links": {}}


class Contacts(Stub):
    """The system of the guide to sinks: contacts with labels."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Answer:
        if method == "GET":
            return 200, [self.held[one] for one in query["id"] if one in self.held]
        one = path.removeprefix("/contacts/")
        if method == "DELETE":
            return (204, None) if self.held.pop(one, None) else (404, None)
        contact = self.held.setdefault(one, {"id": one, "labels": []})
        contact["labels"] = sorted((set(contact["labels"]) | set(content.pop("add"))) - set(content.pop("remove")))
        contact.update(content)
        return 200, contact
