"""A lake in a bucket of an object store that speaks S3: see `bucket_store`. Nothing of it is loaded for a lake in a folder."""
