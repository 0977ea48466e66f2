"""What the package imports is declared in pyproject.toml, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOMES = ("src/segflow", "configs", "flows", "io", "segmentation", "tiling")
# Declared without an import of ours: what others need of it, and where.
SERVES_OTHERS = {
    "fastapi": "prefect starts its server with it; the bound is what matters",
    "onnxscript": "torch.onnx.export imports it",
    "requests": "torchgeo imports it without declaring it",
    "sqlalchemy": "prefect keeps its runs with it; the bound is what matters",
    "tensorboard": "lightning writes its events with it",
}


def normalised(requirement):
    """Give the name of a requirement as the registry compares names."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


def imported():
    """Give the third-party modules that the package imports anywhere, each with a file that does."""
    found = {}
    for path in (path for home in HOMES for path in (ROOT / home).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return {name: path for name, path in found.items() if name not in {*sys.stdlib_module_names, "segflow"}}


IMPORTED = imported()
DISTRIBUTIONS = packages_distributions()
PROVIDERS = {module: {normalised(name) for name in DISTRIBUTIONS.get(module, ())} for module in IMPORTED}


def declared():
    """Give the requirements of segflow and of its extras, but for those of development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: entries for name, entries in project["optional-dependencies"].items() if name != "dev"}
    return {normalised(entry) for entries in (project["dependencies"], *extras.values()) for entry in entries}


@pytest.mark.parametrize("module", sorted(IMPORTED))
def test_what_is_imported_is_declared(module):
    assert PROVIDERS[module] & declared(), f"{IMPORTED[module]} imports {module}: declare it in pyproject.toml"


def test_what_is_declared_is_imported_or_serves_another_library():
    assert declared() - set().union(*PROVIDERS.values()) == set(SERVES_OTHERS)
