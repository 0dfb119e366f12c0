"""Validation of rows: suites of rules, the batches they are run on, findings, clean rows, results.

Great Expectations and pandas are used only in here. Customers' values must not leave it in messages or logs.
"""
