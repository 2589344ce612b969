"""The training side of InCoder: from pinned archives of source code to a cleaned corpus, a tokenizer, a trained and
evaluated model, and the folder that the editor side loads. It imports `incoder_model`; nothing imports it back."""
