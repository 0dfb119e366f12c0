"""Sinks by kind: Tryton, HubSpot, Mailchimp, files and webhooks, and whatever class of one's own a definition names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from pkgutil import resolve_name

from pipeline.activation.sinks.sink import Sink
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError

_PACKAGE = "pipeline.activation.sinks"
_CLASSES = {
    "files": f"{_PACKAGE}.files:FilesSink",
    "hubspot": f"{_PACKAGE}.hubspot:HubSpotSink",
    "mailchimp": f"{_PACKAGE}.mailchimp:MailchimpSink",
    "tryton": f"{_PACKAGE}.tryton:TrytonSink",
    "webhook": f"{_PACKAGE}.webhook:WebhookSink",
}
_WITHOUT_CONNECTION = ("files",)


def sink_class(definition: SinkDefinition) -> type[Sink]:
    """Return the class of a definition's kind; raises ConfigError where it is missing, or is no sink."""
    name = _CLASSES.get(definition.kind, definition.kind)
    try:
        kind = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        todo = "Install the package it is in, or put its folder on PYTHONPATH."
        raise ConfigError(f"there is no class `{name}`: {type(error).__name__}", where=definition.where, todo=todo) from None
    if not (isinstance(kind, type) and issubclass(kind, Sink)):
        raise ConfigError(
            f"`{name}` is no sink", where=definition.where, todo="Let the class inherit from pipeline.activation.sinks.sink.Sink."
        )
    return kind


def open_sink(definition: SinkDefinition, connections: Callable[[str], str], folder: Path, *, clock: Callable[[], datetime]) -> Sink:
    """Return the sink of a definition, which whoever opened it closes.

    Raises ConfigError where its class or its connection is missing.
    """
    kind = sink_class(definition)
    if not definition.connection and definition.kind in _CLASSES and definition.kind not in _WITHOUT_CONNECTION:
        raise ConfigError("`connection` is missing", where=definition.where, todo='Name one: connection = "crm".')
    sink = kind(definition, connections(definition.connection) if definition.connection else "", folder)
    sink.clock = clock
    return sink
