"""What people write: a company, its rules, schemes and clusters; read strictly, and proven before any customer is seen.

Offers `Company`, `Scheme`, `ClusterScheme` and their readers, and a scheme as one SQL statement. What was valid on a past
night is remembered in the lake. Nothing here reads a customer's row.
"""
