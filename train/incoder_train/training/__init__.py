"""A recipe and token shards go in; checkpoints, metrics and a loss curve come out. `loop` is where to start reading."""
