"""The same encode and discover over files, stores and partitions."""
