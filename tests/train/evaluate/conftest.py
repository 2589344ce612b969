"""Programs of models run only where they can be locked in."""

import pytest

from incoder_train.errors import UserError
from incoder_train.evaluate.sandbox import available_way


@pytest.fixture(scope="session")
def sandbox() -> str:
    """The way to lock them in; skips the tests that ask for it where there is none."""
    try:
        return available_way()
    except UserError as error:
        pytest.skip(str(error))
