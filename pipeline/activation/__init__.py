"""From the live publication to the systems where people work: plan what changed, send it, remember what was acknowledged.

Offers `sync_sink`; `sinks.sink` says what a sink is.
"""
