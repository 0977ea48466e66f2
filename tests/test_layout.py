"""The house installs as it is drawn: editable and as a wheel, and leaves the standard library alone."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("configs", "flows", "io", "segmentation", "tiling")


def test_nothing_at_the_root_shadows_the_package():
    assert not (ROOT / "segflow").exists()
    assert not (ROOT / "io.py").exists()


def packages():
    """Give every folder that holds modules, by the name that it installs under."""
    homes = {"segflow": ROOT / "src/segflow", **{f"segflow.{folder}": ROOT / folder for folder in FOLDERS}}
    for name, home in homes.items():
        for folder in {path.parent for path in home.rglob("*.py")}:
            yield ".".join((name, *folder.relative_to(home).parts)), folder


def test_every_package_is_listed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    found = dict(packages())

    assert sorted(setuptools["packages"]) == sorted(found)
    assert [folder for folder in found.values() if not (folder / "__init__.py").exists()] == []


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
    for pattern in (
        "configs/*.yaml",
        "io/pages/*.html",
        "segmentation/models/*.safetensors",
        "segmentation/models/*.md",
    ):
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
