"""The stand-alone verifier as an auditor gets it: a file, loaded by its path, with nothing of Gatehouse around it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FILE = Path(__file__).parents[2] / "approvals" / "gatehouse_verify.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gatehouse_verify_alone", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there for their names
    spec.loader.exec_module(module)
    return module
