"""Who is in which segment on a night, who moved and why, and who was where before.

Offers the writers of a night's tables (`write_memberships`, `write_intervals`, `write_moves`) and the questions that history
answers (`night_as_known`, `segment_members`, `customer_intervals`). It must not know what is published, or which night is live.
"""
