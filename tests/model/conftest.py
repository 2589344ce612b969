"""What tests of the model share, beside what all tests do."""

from pathlib import Path

import pytest

from incoder_model.checkpoint import load_transformer
from incoder_model.transformer import Transformer


@pytest.fixture(scope="module")
def network(model_directory: Path) -> Transformer:
    """In float64, so that rounding never decides between two tokens."""
    return load_transformer(model_directory)[0].double()
