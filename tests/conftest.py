"""What all tests share: the folder of the tests on the path, so that they can import each other's helpers."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """A command switches the collection off, since its process ends soon; this one does not."""
    yield
    gc.enable()
