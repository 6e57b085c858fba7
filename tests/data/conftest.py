"""Where the public data sets lie, for the tests that read them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root():
    """The folder MINILLM_DATA, or ../shared/data beside the repository; a skip without either."""
    named = os.environ.get("MINILLM_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (root / "SOURCES.md").exists() and not (root / "tinyshakespeare").exists():
        pytest.skip(f"needs the public data sets: set MINILLM_DATA (looked in {root})")
    return root
