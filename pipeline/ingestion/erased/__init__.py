"""Who was erased: keyed hashes of their ids in a ledger, and the filter that every row from a source passes."""
