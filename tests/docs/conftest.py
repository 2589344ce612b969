"""Where the tests of the documentation find what they share. Last in the path, see `tests/train/conftest.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
