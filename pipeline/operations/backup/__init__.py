"""A lake in one file, and a lake from that file: what is needed after the disk is lost.

A backup is consistent while nights go on: for the moment in which the files are linked nobody writes, and what is written is never
changed afterwards. It is restored whole or not at all, into a lake where nothing is.
"""

from pipeline.operations.backup.restoration import Restored, restore, restore_from
from pipeline.operations.backup.snapshot import Backup, back_up, back_up_to
from pipeline.operations.backup.unfinished import finish_restore

__all__ = ["Backup", "Restored", "back_up", "back_up_to", "finish_restore", "restore", "restore_from"]
