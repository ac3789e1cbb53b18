import sys

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """The number of threads changes the bits; tests that do without torch do not pay for its import."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
