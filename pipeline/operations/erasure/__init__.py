"""Erasure: a customer leaves everything that is stored, and no later night brings them back.

`erase` carries out requests over all stores of customer data (`table_files`, `publications`, `targets`); `rows` finds a customer
in a row; `listed` erases whom the company's own list names. The ledger of requests is `ingestion.erased`: extraction reads it.
"""
