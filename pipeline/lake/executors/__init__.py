"""What a cluster's executors run of this program: reading files of the lake with their checksums verified, and writing such files.

It travels there as a zip file, which is no folder: what is imported from here reads no file beside itself, and of other people's packages
nothing but pyarrow and NumPy, which executors of Spark have anyway.
"""
