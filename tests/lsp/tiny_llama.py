"""llama.cpp's own server with a tiny random model that knows how to fill holes. It prints where it listens. Not a test.

In: the path of the model file to write.
"""

from __future__ import annotations

import sys
import threading

import gguf
import numpy as np
import xllamacpp

from incoder_model.tokenizer import byte_symbols

WIDTH, CONTEXT = 64, 512
SPECIAL = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]


def write(path: str) -> None:
    """A GPT-2 of one layer; its tokens are the bytes and one pair."""
    symbols = byte_symbols()
    tokens, first = [*symbols, *SPECIAL, "ab"], len(symbols)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(4 * WIDTH)
    writer.add_head_count(4)
    writer.add_layer_norm_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * first + [3] * len(SPECIAL) + [1])  # normal, control
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(first)
    writer.add_eos_token_id(first)
    for offset, part in enumerate(("pre", "suf", "mid"), 1):
        writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", first + offset)
    rng = np.random.default_rng(0)
    shapes = {"token_embd": len(tokens), "position_embd": CONTEXT, "output": len(tokens)}
    for name, rows in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.3, (rows, WIDTH)).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(WIDTH, np.float32))
    for name, rows, columns in (("attn_qkv", 3, 1), ("attn_output", 1, 1), ("ffn_up", 4, 1), ("ffn_down", 1, 4)):
        weight = rng.normal(0, 0.3, (rows * WIDTH, columns * WIDTH)).astype(np.float32)
        writer.add_tensor(f"blk.0.{name}.weight", weight)
        writer.add_tensor(f"blk.0.{name}.bias", np.zeros(rows * WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], CONTEXT, 1
    params.cpuparams.n_threads, params.warmup = 1, False
    server = xllamacpp.Server(params)
    print(f"at {server.listening_address}", flush=True)
    threading.Event().wait()
