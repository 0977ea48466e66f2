"""The floors of the house, and that it installs as it is drawn.

Imports are read from the sources, lazy ones and those for types too: a floor is no matter of luck.
"""

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("configs", "flows", "io", "segmentation", "tiling")

# Who may import whom inside segflow; a package may always import itself.
FLOORS = {
    "segflow": set(),
    "errors": set(),
    "tiling": {"errors"},
    "configs": {"errors", "tiling"},
    "io": {"errors", "tiling"},
    "segmentation": {"errors", "tiling"},
    "flows": {"segflow", "errors", "tiling", "configs", "io", "segmentation"},
    "cli": {"segflow", "errors", "tiling", "configs", "flows"},
}
# Libraries with one home each.
HOMES = {
    "segmentation": {"torch", "torchvision", "torchmetrics", "torchgeo", "lightning", "segmentation_models_pytorch"},
    "flows": {"prefect", "dask", "distributed"},
    "io": {
        "botocore",
        "fiona",
        "fsspec",
        "h5py",
        "osgeo",
        "pyogrio",
        "rio_cogeo",
        "s3fs",
        "safetensors",
        "sqlite3",
        "zarr",
    },
}
PURE = {
    "__future__",
    "affine",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "math",
    "numpy",
    "typing",
}
OPENERS = {"open", "memmap", "fromfile", "read_text", "read_bytes", "write_text", "write_bytes", "tofile"}
SETTINGS_LOADER = ROOT / "configs" / "loader.py"  # the one other place that opens files: YAML


def sources():
    roof = [
        (path, "segflow" if path.stem == "__init__" else path.stem) for path in (ROOT / "src/segflow").rglob("*.py")
    ]
    rooms = [(path, folder) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(roof + rooms)


def imports(path):
    """Give the full names of the modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (
                f"{node.module}.{alias.name}" if node.module == "segflow" else node.module for alias in node.names
            )


def floor_of(name):
    """Give the floor of a module of segflow: cli for all that belongs to the roof."""
    part = name.split(".")[1] if "." in name else ""
    if part in FLOORS:
        return part
    return "cli" if (ROOT / "src/segflow" / f"{part}.py").exists() else "segflow"


def named(cases):
    return [pytest.param(*case, id=str(case[0].relative_to(ROOT))) for case in cases]


@pytest.mark.parametrize(("path", "home"), named(sources()))
def test_imports_go_down_the_floors(path, home):
    floor = floor_of(f"segflow.{home}")
    reached = {floor_of(name) for name in imports(path) if name.split(".")[0] == "segflow"}

    assert reached - {floor} <= FLOORS[floor]


@pytest.mark.parametrize(("path", "home"), named(sources()))
def test_libraries_stay_at_home(path, home):
    foreign = set().union(*(names for room, names in HOMES.items() if room != home))

    assert {name.split(".")[0] for name in imports(path)} & foreign == set()


@pytest.mark.parametrize(("path", "home"), named(case for case in sources() if case[1] == "tiling"))
def test_tiling_is_pure(path, home):
    assert home == "tiling"
    assert {name.split(".")[0] for name in imports(path)} <= PURE | {"segflow"}


@pytest.mark.parametrize(
    ("path", "home"), named(case for case in sources() if case[1] != "io" and case[0] != SETTINGS_LOADER)
)
def test_files_are_opened_only_in_io(path, home):
    assert home != "io"
    builtin, method = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            builtin |= {node.func.id} & {"open"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            method |= {node.func.attr} & OPENERS if not owner[:1].isupper() else set()  # Journal.open is io's

    assert (builtin, method) == (set(), set())


@pytest.mark.parametrize(("path", "home"), named(sources()))
def test_every_module_says_what_it_is(path, home):
    assert home
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_nothing_at_the_root_shadows_the_package():
    assert not (ROOT / "segflow").exists()
    assert not (ROOT / "io.py").exists()


def test_every_package_is_listed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = {path.parent for path in (ROOT / "src/segflow").rglob("__init__.py")}
    found |= {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")}

    assert {(ROOT / place).resolve() for place in setuptools["package-dir"].values()} == found
    assert set(setuptools["packages"]) == set(setuptools["package-dir"])
    assert {path.parent for path, _ in sources()} == found  # no folder of modules without __init__.py


def test_the_lock_is_hashed_and_names_no_place():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line[:1].isalnum()]

    assert all("==" in line and line.endswith("\\") for line in pins)
    assert not [line for line in lines if "://" in line or line.startswith("-") or "/" in line]
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins)


WHERE = """
import io, sys, segflow, segflow.io, segflow.tiling, segflow.flows, segflow.segmentation, segflow.configs
assert segflow.io is not io and hasattr(io, "BytesIO") and io.__file__.startswith(sys.base_prefix)
print(*(module.__file__ for module in (segflow, segflow.io, segflow.tiling)), sep="\\n")
"""


def run(*command, cwd):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("inside", [True, False])
def test_the_editable_install_leads_to_the_folders(tmp_path, inside):
    found = run(sys.executable, "-c", WHERE, cwd=ROOT if inside else tmp_path)
    expected = [ROOT / "src/segflow/__init__.py", ROOT / "io/__init__.py", ROOT / "tiling/__init__.py"]

    assert [Path(line).resolve() for line in found] == expected


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel from a copy, with the build tools that are installed."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "src", *FOLDERS):
        (copy / name).symlink_to(ROOT / name)
    build = f"import setuptools.build_meta as backend; backend.build_wheel({str(out)!r})"
    run(sys.executable, "-c", build, cwd=copy)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_file_it_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"segflow/{path.relative_to(ROOT / 'src/segflow')}" for path in (ROOT / "src/segflow").rglob("*.py")}
    expected |= {f"segflow/{path.relative_to(ROOT)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    for pattern in ("configs/*.yaml", "io/*.html", "segmentation/models/*.safetensors", "segmentation/models/*.md"):
        expected |= {f"segflow/{path.relative_to(ROOT)}" for path in ROOT.glob(pattern)}

    assert expected | {"segflow/py.typed"} == {name for name in names if name.startswith("segflow/")}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"segflow"}


@pytest.mark.parametrize("inside", [True, False])
def test_the_wheel_works_and_leaves_the_standard_library_alone(wheel, tmp_path, inside):
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)  # what an installer does with a pure wheel
    # The libraries come from here. The editable install does not: a .pth file of a place named in a .pth is not read.
    places = [place for place in sys.path if place.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(places), encoding="utf-8")
    found = run(tmp_path / "venv/bin/python", "-c", WHERE, cwd=ROOT if inside else tmp_path)

    assert [Path(line) for line in found] == [site / "segflow" / name / "__init__.py" for name in ("", "io", "tiling")]
