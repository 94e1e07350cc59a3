"""The benchmark's modules can be imported, and its tools are built once."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler")
    from instruments import build

    folder = tmp_path_factory.mktemp("tools")
    build(folder)
    return folder
