"""Who is in which segment on a night, who moved and why, and who was where before.

Offers the writers of memberships, intervals and moves, and the questions that history answers. It does not know what
is published.
"""
