"""Checkpoints of other tools: weights come out whatever wraps them, and nothing in a file is ever run."""

import io
import pickle
import tarfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import save_file
from torch import nn

from segflow.errors import ModelError, OutputExistsError, SettingsError
from segflow.flows.models.importing import import_model
from segflow.io.models.checkpoints import MAX_BYTES, check_archive, read_checkpoint
from segflow.io.models.packages import read_model_file
from segflow.segmentation.networks.published.state_dicts import Arrays, select_weights, unpack_checkpoint
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.predict.weights import pack_weights
from tests.scenes import write_pixelwise_model

ARGUMENTS = {"widths": [4, 8]}
SPEC = {
    "name": "imported",
    "architecture": "unet",
    "arguments": ARGUMENTS,
    "bands": [{"name": "red", "mean": 10.0, "std": 2.0}, {"name": "nir", "mean": 20.0, "std": 4.0}],
    "classes": [
        {"value": 0, "name": "land", "colour": "#d9c88f"},
        {"value": 1, "name": 'wald; "dicht"', "colour": "#1b7837"},
    ],
    "gsd": 10.0,
    "licence": "CC0",
}  # fmt: skip


def read(path: Path) -> Arrays:
    return unpack_checkpoint(read_checkpoint(path), source=str(path)).arrays


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    return build_network("unet", ARGUMENTS, in_channels=2, classes=2)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC))
    return path


class Exploit:
    """What a pickle of it does when loaded: it writes a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


def saved(content: object, **options: object) -> bytes:
    target = io.BytesIO()
    torch.save(content, target, **options)
    return target.getvalue()


def repacked(archive: bytes, *extra: tuple[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    """Give an archive with more members, or all of them compressed."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w", compress) as made:
        for info in source.infolist():
            made.writestr(info.filename, source.read(info))
        for name, content in extra:
            made.writestr(name, content)
    return target.getvalue()


def with_pickle(archive: bytes, content: bytes) -> bytes:
    """Give an archive whose data.pkl is another."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w") as made:
        for info in source.infolist():
            made.writestr(info.filename, content if info.filename.endswith("data.pkl") else source.read(info))
    return target.getvalue()


def test_a_state_dict_becomes_a_model(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    (tmp_path / "w.pt").write_bytes(saved(network.state_dict()))
    made = import_model(tmp_path / "w.pt", tmp_path / "new" / "m.safetensors", spec=spec)

    arrays = read_model_file(made.path)[1]
    expected = pack_weights(network)
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(arrays[name], expected[name]) for name in expected)
    found = made.spec
    assert (found.name, found.licence, found.gsd_range) == ("imported", "CC0", (7.5, 15.0))
    assert (found.stride, found.guarantee, found.bfloat16_changes, found.metrics) == (2, "exact", None, {})
    assert found.dependency is not None
    assert found.margin >= found.dependency > 0
    assert found.provenance["checkpoint"] == "w.pt"


def test_a_margin_that_is_too_short_is_imported_with_what_it_costs(tmp_path: Path, network: nn.Module) -> None:
    (tmp_path / "w.pt").write_bytes(saved(network.state_dict()))
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**SPEC, "margin": 2}))
    found = import_model(tmp_path / "w.pt", tmp_path / "m.safetensors", spec=path).spec

    assert (found.margin, found.guarantee) == (2, "bounded")
    assert found.worst_difference_data == "random pixels, for want of scenes"
    assert found.worst_difference is not None
    assert 0 < found.worst_difference < 1


WRAPPED = {
    "data parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "lightning": lambda state: {
        "epoch": 3,
        "state_dict": {f"network.{name}": value for name, value in state.items()} | {"loss.weight": torch.ones(2)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
        "hyper_parameters": {"rate": 0.1, "name": "x"},
    },
    "compiled": lambda state: {"model": {f"_orig_mod.{name}": value for name, value in state.items()}, "step": 5},
    "averaged beside": lambda state: {
        "state_dict": {name: value + 1 for name, value in state.items()},
        "ema_state_dict": dict(state),
    },
    "averaged within": lambda state: {
        "state_dict": {f"network.{name}": value + 1 for name, value in state.items()}
        | {f"averaged.module.{name}": value for name, value in state.items()}
        | {"averaged.n_averaged": torch.tensor(7)}
    },
    "half": lambda state: {name: value.to(torch.bfloat16).float().to(torch.bfloat16) for name, value in state.items()},
    "with a head for training": lambda state: {**state, "aux_classifier.0.weight": torch.ones(2, 2, 3, 3)},
    "parameters": lambda state: {name: nn.Parameter(value, requires_grad=False) for name, value in state.items()},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_weights_are_found(tmp_path: Path, network: nn.Module, wrap) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))  # so that half precision keeps them
    expected = pack_weights(network)
    floats = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    (tmp_path / "w.ckpt").write_bytes(saved(wrap(floats)))
    found = select_weights(read(tmp_path / "w.ckpt"), expected)

    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_safetensors_need_no_suffix(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    save_file({f"model.{name}": array for name, array in pack_weights(network).items()}, tmp_path / "w.bin")
    made = import_model(tmp_path / "w.bin", tmp_path / "m.safetensors", spec=spec, name="other")

    assert made.spec.name == "other"
    assert read_model_file(made.path)[1].keys() == pack_weights(network).keys()


def test_like_a_model_takes_no_scores_of_it(tmp_path: Path) -> None:
    model = write_pixelwise_model(tmp_path / "old.safetensors")
    (tmp_path / "w.pth").write_bytes(saved(nn.Conv2d(3, 2, 1).state_dict()))
    made = import_model(tmp_path / "w.pth", tmp_path / "fresh.safetensors", like=str(model))

    assert made.spec.name == "fresh"
    assert [band.name for band in made.spec.bands] == ["red", "green", "blue"]
    assert (made.spec.guarantee, made.spec.dependency, made.spec.metrics, made.spec.licence) == ("exact", 0, {}, "")


class Fitted(lightning.LightningModule):
    """The least that Lightning trains."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.save_hyperparameters({"rate": 0.1, "classes": ["a", "b"]})
        self.network = network

    def training_step(self, batch: torch.Tensor, _index: int) -> torch.Tensor:
        return self.network(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.network.parameters(), 0.1)


def test_a_checkpoint_that_lightning_wrote(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    trainer = lightning.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers
        trainer.fit(Fitted(network), torch.utils.data.DataLoader(torch.ones(2, 2, 8, 8)))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    made = import_model(tmp_path / "last.ckpt", tmp_path / "m.safetensors", spec=spec)

    arrays, expected = read_model_file(made.path)[1], pack_weights(network)
    assert all(np.array_equal(arrays[name], expected[name]) for name in expected)


def test_our_own_checkpoint_says_all_itself(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    (tmp_path / "plain.pt").write_bytes(saved(network.state_dict()))
    known = import_model(tmp_path / "plain.pt", tmp_path / "plain.safetensors", spec=spec).spec
    averaged = {f"averaged.module.{name}": value for name, value in network.state_dict().items()}
    own = {"epoch": 3, "biases": [0.0, 0.75], "identity": {"data": "x"}, "spec": known.to_json()}
    (tmp_path / "best.ckpt").write_bytes(saved({"state_dict": averaged, "segflow": own}))
    made = import_model(tmp_path / "best.ckpt", tmp_path / "m.safetensors")

    arrays, expected = read_model_file(made.path)[1], pack_weights(network)
    assert np.array_equal(arrays["head.bias"], expected["head.bias"] + np.array([0, 0.75], np.float32))
    assert np.array_equal(arrays["head.weight"], expected["head.weight"])
    assert replace(made.spec, provenance={}) == replace(known, provenance={})


# What an attacker may hand over; each would write the file `victim` if any of it were unpickled.
ATTACKS = {
    "bare pickle": lambda evil, _: evil,
    "torch's old format": lambda evil, _: saved({"a": torch.ones(2)}, _use_new_zipfile_serialization=False) + evil,
    "pickle of the archive": lambda evil, good: with_pickle(good, evil),
    "a second archive inside": lambda evil, good: repacked(good, ("archive/data/nested.pt", with_pickle(good, evil))),
    "a second pickle": lambda evil, good: repacked(good, ("other/data.pkl", evil)),
    "a pickle beside": lambda evil, good: repacked(good, ("archive/extra.pkl", evil)),
    "TorchScript constants": lambda evil, good: repacked(good, ("archive/constants.pkl", evil)),
    "compressed": lambda evil, good: repacked(with_pickle(good, evil), compress=zipfile.ZIP_DEFLATED),
    "after the end of the pickle": lambda evil, good: with_pickle(good, pickle.dumps({}, 2) + evil),
    "a global taken from the stack": lambda _, good: with_pickle(
        good, b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x011\x85R."
    ),
    "an instance": lambda _, good: with_pickle(good, b"(S'1'\nibuiltins\nexec\n."),
    "zip of a zip": lambda evil, good: repacked(b"PK\x05\x06" + bytes(18), ("archive/a.zip", with_pickle(good, evil))),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path, network: nn.Module, attack, protocol: int) -> None:
    victim = tmp_path / "victim"
    evil = pickle.dumps({"w": Exploit(victim)}, protocol)
    (tmp_path / "w.pt").write_bytes(attack(evil, saved(network.state_dict())))
    with pytest.raises(ModelError) as caught:
        read(tmp_path / "w.pt")

    assert not victim.exists()
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "w.pt") in str(caught.value)
    pickle.loads(evil)  # noqa: S301  # the same bytes do harm where they are loaded: the attack is real
    assert victim.exists()


def test_a_tar_of_pickles_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    evil = pickle.dumps(Exploit(victim))
    with tarfile.open(tmp_path / "w.pt", "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(evil)
        archive.addfile(info, io.BytesIO(evil))
    with pytest.raises(ModelError, match="old format"):
        read(tmp_path / "w.pt")

    assert not victim.exists()


def test_what_asked_to_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(saved({"state_dict": {}, "settings": Path("x")}))
    with pytest.raises(ModelError, match=r"asks to run 'pathlib\.PosixPath'.*save only its state_dict"):
        read(tmp_path / "w.pt")


def test_torch_gets_only_what_was_checked(network: nn.Module) -> None:
    archive = saved(network.state_dict())
    packed = check_archive(archive, "w.pt")

    assert check_archive(packed, "w.pt") == packed
    with zipfile.ZipFile(io.BytesIO(packed)) as made:
        assert {info.filename.split("/")[0] for info in made.infolist()} == {"archive"}


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path: Path, network: nn.Module, kept: float) -> None:
    archive = saved(network.state_dict())
    (tmp_path / "w.pt").write_bytes(archive[: int(kept * len(archive))])
    with pytest.raises(ModelError):
        read(tmp_path / "w.pt")


def test_bytes_turned_over_never_do_more_than_raise(tmp_path: Path) -> None:
    archive = bytearray(saved({"w": torch.ones(3)}))
    path = tmp_path / "w.pt"
    for place in range(0, len(archive), 7):
        spoilt = archive.copy()
        spoilt[place] ^= 0xFF
        path.write_bytes(spoilt)
        try:
            found = read(path)
        except ModelError:
            continue
        assert found.keys() <= {"w"} or all(array.dtype == np.float32 for array in found.values())


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no checkpoint"), (b"hello, world, this is text", "no checkpoint"), (None, "check the path")],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ModelError, match=says):
        read(tmp_path / "w.pt")


def test_a_checkpoint_of_any_size_does_not_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "w.pt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse
    with pytest.raises(ModelError, match="save only the state_dict"):
        read(tmp_path / "w.pt")


def test_weights_of_another_architecture_name_the_first_difference(tmp_path: Path, spec: Path) -> None:
    wider = build_network("unet", {"widths": [6, 8]}, in_channels=2, classes=2)
    (tmp_path / "wider.pt").write_bytes(saved(wider.state_dict()))
    (tmp_path / "linear.pt").write_bytes(saved(nn.Conv2d(2, 2, 1).state_dict()))

    with pytest.raises(
        ModelError, match=r"wider.pt: weight 'down.0.0.weight' has shape \(6, 2, 3, 3\), but needs \(4,"
    ):
        import_model(tmp_path / "wider.pt", tmp_path / "m.safetensors", spec=spec)
    with pytest.raises(ModelError, match=r"'down.0.0.weight' of shape \(4, 2, 3, 3\) is missing"):
        import_model(tmp_path / "linear.pt", tmp_path / "m.safetensors", spec=spec)
    assert not (tmp_path / "m.safetensors").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    with torch.no_grad():
        network.head.bias[1] = torch.nan
    (tmp_path / "w.pt").write_bytes(saved(network.state_dict()))
    with pytest.raises(ModelError, match=r"w.pt: weight 'head.bias' is not finite in 1 of 2 values"):
        import_model(tmp_path / "w.pt", tmp_path / "m.safetensors", spec=spec)


def test_what_must_be_said_is_asked_for(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    (tmp_path / "w.pt").write_bytes(saved(network.state_dict()))
    out = tmp_path / "m.safetensors"

    for both in ({}, {"spec": spec, "like": "forest-amazon-s2"}):
        with pytest.raises(SettingsError, match="one of --spec"):
            import_model(tmp_path / "w.pt", out, **both)
    with pytest.raises(SettingsError, match=r"must end in \.safetensors"):
        import_model(tmp_path / "w.pt", tmp_path / "m.pt", spec=spec)
    import_model(tmp_path / "w.pt", out, spec=spec)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        import_model(tmp_path / "w.pt", out, spec=spec)
    spec.write_text(yaml.safe_dump({**SPEC, "bnads": []}))
    with pytest.raises(SettingsError, match="did you mean 'bands'"):
        import_model(tmp_path / "w.pt", out, spec=spec, overwrite=True)


def test_equal_checkpoints_give_equal_models(tmp_path: Path, network: nn.Module, spec: Path) -> None:
    (tmp_path / "w.pt").write_bytes(saved(network.state_dict()))
    for name in ("a", "b"):
        import_model(tmp_path / "w.pt", tmp_path / f"{name}.safetensors", spec=spec)

    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
