"""Who was erased: a ledger with keyed hashes of their ids, and the filter that every row from a source passes.

It knows nothing of how customers are erased from the lake; that is an operation.
"""
