"""The floors of the house and the rooms on them: who may import whom, and how many files a room holds.

Imports are read from the sources, lazy ones and those for types too: a floor is no matter of luck.
"""

import ast
import itertools
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("configs", "flows", "io", "segmentation", "tiling")
LARGEST_ROOM = 25  # files

# Who may import whom inside segflow; a package may always import itself.
FLOORS = {
    "segflow": set(),
    "errors": set(),
    "tiling": {"errors"},
    "configs": {"errors", "tiling"},
    "io": {"errors", "tiling"},
    "segmentation": {"errors", "tiling", "configs"},
    "flows": {"segflow", "errors", "tiling", "configs", "io", "segmentation"},
    "cli": {"segflow", "errors", "tiling", "configs", "flows"},
}
# The rooms of each floor from bottom to top: a room imports from itself and from those before it.
ROOMS = {
    "io": (
        "io.storage",
        "io.names",
        "io.scene",
        "io.work",
        "io.vector",
        "io.demo",
        "io.inputs",
        "io.models",
        "io.raster",
        "io.labels",
        "io.pages",
        "io.stac",
    ),
    "segmentation": (
        "segmentation.vectors",
        "segmentation.vectors.lines",
        "segmentation.vectors.sieving",
        "segmentation.vectors.polygons",
        "segmentation",
        "segmentation.networks",
        "segmentation.networks.published",
        "segmentation.scores",
        "segmentation.predict",
        "segmentation.training",
    ),
    "flows": (
        "flows",
        "flows.products",
        "flows.vectorize",
        "flows.cluster",
        "flows.models",
        "flows.planning",
        "flows.inference",
        "flows.run",
        "flows.train",
        "flows.evaluate",
        "flows.many",
        "flows.project",
        "flows.start",
        "flows.retrain",
        "flows.scheduled",
    ),
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
    """Give every source file with its full name; a package is named by its folder."""
    homes = [(ROOT / "src" / "segflow", "segflow"), *((ROOT / folder, f"segflow.{folder}") for folder in FOLDERS)]
    found = []
    for home, name in homes:
        for path in home.rglob("*.py"):
            parts = path.relative_to(home).with_suffix("").parts
            found.append((path, ".".join((name, *(part for part in parts if part != "__init__")))))
    return sorted(found)


MODULES = {name: path for path, name in sources()}


@cache
def parse(path):
    """Give the syntax tree of a file, which many tests look at."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Give the full names of the modules that a file imports, wherever it does."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in full)


def floor_of(name):
    """Give the floor of a module of segflow."""
    return name.split(".")[1] if "." in name else "segflow"


def room_of(name):
    """Give the room of a module of segflow, without the package's name."""
    room = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    return room.partition(".")[2] or "segflow"


def test_segmentation_takes_nothing_but_its_recipe_from_the_settings():
    reached = {other for name, path in MODULES.items() if floor_of(name) == "segmentation" for other in imports(path)}

    assert {name for name in reached if name.startswith("segflow.configs")} == {"segflow.configs.recipe"}


def named(cases):
    return [pytest.param(*case, id=str(case[0].relative_to(ROOT))) for case in cases]


@pytest.mark.parametrize(("path", "name"), named(sources()))
def test_imports_go_down_the_floors(path, name):
    floor = floor_of(name)
    reached = {floor_of(name) for name in imports(path) if name.split(".")[0] == "segflow"}

    assert reached - {floor} <= FLOORS[floor]


@pytest.mark.parametrize(("path", "name"), named(sources()))
def test_imports_go_down_the_rooms(path, name):
    order = ROOMS.get(floor_of(name), ())
    above = order[order.index(room_of(name)) + 1 :] if room_of(name) in order else ()
    reached = {room_of(other) for other in imports(path) if other in MODULES}

    assert reached & set(above) == set()


def test_every_room_has_its_place():
    found = {room_of(name) for name, path in MODULES.items() if path.name != "__init__.py"}

    assert {room for room in found if floor_of(f"segflow.{room}") in ROOMS} == set(itertools.chain(*ROOMS.values()))


def test_a_room_holds_few_files():
    files = Counter(path.parent for path in MODULES.values())

    assert {room: count for room, count in files.items() if count > LARGEST_ROOM} == {}


def test_no_file_name_occurs_twice_on_a_floor():
    names = Counter((floor_of(name), path.name) for name, path in MODULES.items() if path.name != "__init__.py")

    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(("path", "name"), named(sources()))
def test_libraries_stay_at_home(path, name):
    foreign = set().union(*(names for floor, names in HOMES.items() if floor != floor_of(name)))

    assert {name.split(".")[0] for name in imports(path)} & foreign == set()


@pytest.mark.parametrize(("path", "name"), named(case for case in sources() if floor_of(case[1]) == "tiling"))
def test_tiling_is_pure(path, name):
    assert floor_of(name) == "tiling"
    assert {name.split(".")[0] for name in imports(path)} <= PURE | {"segflow"}


@pytest.mark.parametrize(
    ("path", "name"), named(case for case in sources() if floor_of(case[1]) != "io" and case[0] != SETTINGS_LOADER)
)
def test_files_are_opened_only_in_io(path, name):
    assert floor_of(name) != "io"
    builtin, method = set(), set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            builtin |= {node.func.id} & {"open"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            method |= {node.func.attr} & OPENERS if not owner[:1].isupper() else set()  # Journal.open is io's

    assert (builtin, method) == (set(), set())


@pytest.mark.parametrize(("path", "name"), named(sources()))
def test_every_module_says_what_it_is(path, name):
    assert name
    assert ast.get_docstring(parse(path))
