"""What tests of the model share: small networks as model directories, each made once."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from incoder_model.tokenizer import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))  # for small_graphs


@pytest.fixture(scope="session")
def directories(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """By their shape and type, see `small_graphs`. To be copied by who changes them."""
    root = tmp_path_factory.mktemp("onnx")

    def directory(shape: str, dtype: str) -> Path:
        from small_graphs import make_directory

        path = root / f"{shape} {dtype}"
        return path if path.exists() else make_directory(path, shape, dtype, tokenizer)

    return directory
