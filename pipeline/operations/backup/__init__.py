"""A lake in one file, and a lake from that file: what is needed after the disk is lost.

A backup is consistent while nights go on: for the moment in which the files are linked nobody writes, and what is written is never
changed afterwards. It is restored whole or not at all, into a lake where nothing is.
"""
