"""From documents to what the model sees: the vocabulary, token shards on disk, and the order of samples and batches."""
