"""What several tests of the TNM part need."""

import importlib.util
import sys
from pathlib import Path

import pytest

ANALYSIS = Path(__file__).parents[2] / "analysis"


@pytest.fixture(scope="module")
def made():
    """analysis/tnm_scans.py."""
    spec = importlib.util.spec_from_file_location("tnm_scans", ANALYSIS / "tnm_scans.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["tnm_scans"] = module
    spec.loader.exec_module(module)
    return module
