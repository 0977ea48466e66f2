"""`segflow model …` as a user meets it."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from segflow.cli.app import app
from segflow.errors import ModelError
from tests.scenes import write_pixelwise_model


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["model", *map(str, arguments)], catch_exceptions=True)


def test_every_topic_explains_itself() -> None:
    for command in ("list", "show", "architectures", "import", "export", "card"):
        done = invoke(command, "--help")

        assert done.exit_code == 0
        assert "Usage" in done.stdout


def test_networks_are_listed() -> None:
    found = json.loads(invoke("architectures", "unet", "pixelwise", "--json").stdout)

    assert [entry["name"] for entry in found] == ["unet", "pixelwise"]
    assert {"parameters", "stride", "dependency", "guarantee"} <= found[0].keys()
    assert "exact" in invoke("architectures", "unet").stdout


def test_a_checkpoint_goes_in_and_an_item_and_a_card_come_out(tmp_path: Path) -> None:
    like = write_pixelwise_model(tmp_path / "like.safetensors")
    torch.save(nn.Conv2d(3, 2, 1).state_dict(), tmp_path / "w.pt")
    out = tmp_path / "new.safetensors"

    done = invoke("import", tmp_path / "w.pt", "--like", like, "--out", out, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["name"] == "new"
    assert "guarantee     exact" in invoke("show", out).stdout
    done = invoke("export", out, "--stac", tmp_path / "new.json")
    assert done.stdout.split() == [str(tmp_path / "new.json")]
    assert json.loads((tmp_path / "new.json").read_text())["properties"]["mlm:name"] == "new"
    assert invoke("card", out).stdout.startswith("# new 1\n")
    assert invoke("card", out, "--out", tmp_path / "new.md").stdout == f"{tmp_path / 'new.md'}\n"
    assert (tmp_path / "new.md").read_text().startswith("# new 1\n")


def test_onnx_comes_out(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "m.safetensors")
    done = invoke("export", model, "--onnx", tmp_path / "m.onnx", "--tile", 64)

    assert done.exit_code == 0
    assert (tmp_path / "m.onnx").stat().st_size > 0


@pytest.mark.parametrize("arguments", [("export", "forest-amazon-s2"), ("import",), ("card",)])
def test_what_is_left_out_is_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    assert invoke(*arguments).exit_code == 2


def test_a_pickle_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": 1}))
    done = invoke("import", tmp_path / "w.pt", "--like", "forest-amazon-s2", "--out", tmp_path / "m.safetensors")

    assert isinstance(done.exception, ModelError)
    assert "can run code" in str(done.exception)
    assert "\n" not in str(done.exception)
