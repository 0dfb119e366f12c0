"""Who was in which segment on a day, as known then or later.

A question has two dates: the day it is about, and the day whose knowledge counts. Rows that arrive late change what is known of a
past day today, but never what was known of it then.
"""
