"""The lake: what tables are, where their files lie, how SQL runs over them.

Offers `Lake` (partitions by table, day and the night that knew them), declared tables, engines, and statements as
syntax trees. It knows nothing of customers, segments or companies. All that touches a file of the lake is here.
"""
