"""What a CRM reads: profiles with a hash and a sequence number, lists, changes, and hashed addresses for ad platforms.

The tables follow from those of the publication and from what readers saw before it: a row keeps its number of change until it differs,
and every number is larger than all that were seen. So readers go by the order of publications, and no clock is asked: a rerun that finds
nothing new changes nothing, and a rollback goes on forward. Offers `write_crm_tables`, and `continued` for a publication that goes live
out of turn.
"""
