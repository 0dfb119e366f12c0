"""What a cluster's executors run of this program: reading files of the lake with their checksums verified, writing such files, and work.

It travels there as a zip file, which is no folder: what is imported from here reads no file beside itself, and of other people's packages
nothing but pyarrow and NumPy, which executors of Spark have anyway. Work, such as the check of a partition, imports more when it is
unpickled: only executors that have `versions.WORK_PACKAGES` are given any.
"""
