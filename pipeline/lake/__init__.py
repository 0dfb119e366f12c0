"""The lake: what tables are, where their files lie, how SQL runs over them.

Offers `Lake` (partitions by table, day and the night that knew them), the declared tables, engines, and statements as syntax
trees. Whatever touches a file of the lake is in here. It must not know what a customer, a segment or a company is.
"""
