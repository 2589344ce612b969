"""Where the tests of training find what they share. Last in the path, so that every `conftest` that is imported stays who it is."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
