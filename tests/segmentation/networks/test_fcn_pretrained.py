"""Weights from elsewhere: the transplant of S1, 32s to 8s in turn, any number of bands, no stall offline."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn

from segflow.errors import ModelError
from segflow.flows.train.pretrained import start_from
from segflow.io.models.packages import write_model_file
from segflow.io.storage.downloads import fetch_file
from segflow.segmentation.networks.published.hub import find_hub_weights, unpack_hub_file
from segflow.segmentation.networks.published.pretrained import adapt_first_convolution, load_pretrained
from segflow.segmentation.networks.registry import build_network
from segflow.segmentation.networks.unet_2015 import UNet2015
from segflow.segmentation.predict.weights import pack_weights

WIDTH = 1 / 32


def vgg_classifier(classes: int = 10, *, batch_norm: bool = False) -> nn.Module:
    """torchvision's VGG16 with a thirty-second of its channels, in its names."""
    from torchvision.models.vgg import cfgs, make_layers

    narrow = [entry if entry == "M" else round(entry * WIDTH) for entry in cfgs["D"]]
    hidden = round(4096 * WIDTH)
    layers = {
        "features": make_layers(narrow, batch_norm=batch_norm),
        "avgpool": nn.AdaptiveAvgPool2d(7),
        "flatten": nn.Flatten(),
        "classifier": nn.Sequential(
            *(nn.Linear(narrow[-2] * 49, hidden), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()),
            nn.Linear(hidden, classes),
        ),
    }
    network = nn.Sequential()
    for name, layer in layers.items():
        network.add_module(name, layer)
    return network.eval()


def test_s1_the_transplanted_classifier_gives_its_answer_at_one_position() -> None:
    torch.manual_seed(0)
    classifier = vgg_classifier()
    network = build_network("fcn8s-vgg16", {"width": WIDTH}, in_channels=3, classes=10).eval()
    loaded = load_pretrained(network, classifier.state_dict())
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        slid = network.score_fr(network.vgg(image)[2])  # VGG16 itself, without the border of zeros

        assert slid.shape == (2, 10, 1, 1)
        torch.testing.assert_close(slid[..., 0, 0], classifier(image))

    assert set(loaded.missing) == {
        *("score_pool3.weight", "score_pool3.bias", "score_pool4.weight", "score_pool4.bias"),
        *("upscore.weight", "upscore2.weight", "upscore_pool4.weight"),
    }
    assert (loaded.mismatched, loaded.unused, loaded.adapted) == ((), (), ())


def test_s1_a_normalised_classifier_and_other_classes_and_bands() -> None:
    network = build_network("fcn8s-vgg16-kitti", {"width": WIDTH, "batch_norm": True}, in_channels=4, classes=2)
    classifier = vgg_classifier(batch_norm=True)
    for layer in classifier.features:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
    loaded = load_pretrained(network, classifier.state_dict())

    assert loaded.adapted == ("vgg.stage1.0.weight",)
    assert torch.equal(network.vgg.stage5[7].running_mean, classifier.features[41].running_mean)
    assert loaded.mismatched == (
        "score7.bias (found (10,), needs (2,))",
        "score7.weight (found (10, 128, 1, 1), needs (2, 128, 1, 1))",
    )
    assert "adapted" in loaded.summary()


def test_s1_names_and_shapes_are_those_of_torchvisions_vgg16() -> None:
    """At full width, without its numbers."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        state = vgg16(weights=None).state_dict()
        network = build_network("fcn32s-vgg16", {}, in_channels=3, classes=1000)
        loaded = load_pretrained(network, state)

    assert loaded.missing == ("upscore.weight",)
    assert (loaded.mismatched, loaded.unused) == ((), ())


def test_s1_32s_starts_16s_which_starts_8s() -> None:
    """New skips score 0, so 16s starts with what 32s says, up to how it is upsampled."""
    torch.manual_seed(0)
    coarse, middle, fine = (
        build_network(name, {"width": WIDTH}, in_channels=3, classes=2).eval()
        for name in ("fcn32s-vgg16", "fcn16s-vgg16", "fcn8s-vgg16")
    )
    nn.init.normal_(coarse.score_fr.weight)
    first = load_pretrained(middle, coarse.state_dict())
    second = load_pretrained(fine, middle.state_dict())
    image = torch.randn(1, 3, 96, 64)
    with torch.no_grad():
        answers = [network(image) for network in (coarse, middle, fine)]

    assert first.missing == ("score_pool4.bias", "score_pool4.weight", "upscore2.weight")
    assert first.mismatched == ("upscore.weight (found (2, 2, 64, 64), needs (2, 2, 32, 32))",)
    assert second.missing == ("score_pool3.bias", "score_pool3.weight", "upscore_pool4.weight")
    assert all(
        (answer - answers[0]).abs().mean() < 0.1 * (answers[0] - answers[0].mean()).abs().mean() for answer in answers
    )


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 7])
def test_an_adapted_convolution_sees_grey_as_the_original_does(bands: int) -> None:
    weight, grey = torch.randn(5, 3, 3, 3), torch.randn(1, 1, 8, 8)
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    found = adapt_first_convolution(weight, bands)

    torch.testing.assert_close(nn.functional.conv2d(grey.expand(-1, bands, -1, -1), found), expected)
    if bands >= 3:
        assert torch.equal(found[:, :3], weight * (3 / bands))


@pytest.mark.parametrize("name", ["unet-resnet50", "fcn-resnet50"])
def test_a_classifier_starts_the_encoder(name: str) -> None:
    from torchvision.models import resnet50

    state = resnet50(weights=None).state_dict()
    network = build_network(name, {}, in_channels=4, classes=2)
    loaded = load_pretrained(network, state)
    prefix = {"unet-resnet50": "network.encoder.", "fcn-resnet50": "backbone."}[name]

    assert loaded.adapted == (f"{prefix}conv1.weight",)
    assert loaded.unused == ("fc.bias", "fc.weight")
    assert not [missing for missing in loaded.missing if missing.startswith(prefix)]
    assert torch.equal(network.get_parameter(f"{prefix}layer4.2.conv3.weight"), state["layer4.2.conv3.weight"])


@pytest.mark.parametrize("prefix", ["module.", "state_dict.model."])
def test_weights_of_a_trainer_lose_its_prefix(prefix: str) -> None:
    source, target = (UNet2015(3, 2, width=1 / 32) for _ in range(2))
    loaded = load_pretrained(target, {f"{prefix}{name}": value for name, value in source.state_dict().items()})

    assert (loaded.missing, loaded.mismatched, loaded.unused) == ((), (), ())
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_weights_of_another_network_are_refused() -> None:
    network = UNet2015(1, 2, width=1 / 32)
    with pytest.raises(ModelError, match=r"no weight fits: the network's first is 'down.0.0.weight' of shape \(2, 1"):
        load_pretrained(network, {"dense.weight": torch.zeros(3)})
    with pytest.raises(ModelError, match=r"no weight fits: the network's first is 'down.0.0.weight' of shape \(2, 1"):
        load_pretrained(network, vgg_classifier().state_dict())
    with pytest.raises(ModelError, match="not those of a VGG16"):
        load_pretrained(
            build_network("fcn32s-vgg16", {"width": WIDTH}, in_channels=3, classes=2),
            {"features.0.weight": torch.zeros(3), "classifier.0.weight": torch.zeros(3)},
        )


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_local_file_needs_no_network(suffix: str, tmp_path: Path) -> None:
    source, target = (UNet2015(3, 2, width=1 / 32) for _ in range(2))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(source.state_dict(), path)
    else:
        write_model_file(path, "{}", pack_weights(source))
    loaded = start_from(target, str(path))

    assert (loaded.missing, loaded.mismatched, loaded.unused) == ((), (), ())
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_a_name_without_a_network_is_one_error_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is not there stands for a network that is not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"download.pytorch.org did not answer \(.*give a local file"):
        start_from(UNet2015(3, 2, width=1 / 32), "vgg16")

    assert time.monotonic() - started < 8


CONTENT = b"weights" * 1000


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    """A server on loopback that counts what it is asked for."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as serving:
        serving.asked = 0
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is reached directly."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_files_are_fetched_once_and_checked(server: HTTPServer, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/vgg.pth"
    digest = hashlib.sha256(CONTENT).hexdigest()

    assert fetch_file(url, tmp_path / "cache", digest_start=digest[:8]) == CONTENT
    assert fetch_file(url, tmp_path / "cache", digest_start=digest[:8]) == CONTENT
    assert server.asked == 1
    with pytest.raises(ModelError, match="has another SHA-256 than 00000000…"):
        fetch_file(url, tmp_path / "other", digest_start="00000000")
    assert not (tmp_path / "other").exists()


def test_nobody_answers_at_once(tmp_path: Path) -> None:
    """A closed port: the error names the host and what to do."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/vgg.pth"
    with pytest.raises(ModelError, match=r"127.0.0.1:\d+ did not answer \(.*refused.*give a local file"):
        fetch_file(url, tmp_path, digest_start="0")


def test_a_silent_host_does_not_stall(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(ModelError, match="did not answer"):
            fetch_file(f"http://127.0.0.1:{silent.getsockname()[1]}/vgg.pth", tmp_path, digest_start="0", patience=0.3)

    assert time.monotonic() - started < 5


def test_names_of_torchvision_are_known_without_a_network() -> None:
    weights = find_hub_weights("vgg16")

    assert weights == find_hub_weights("VGG16_Weights.IMAGENET1K_V1")
    assert weights.url.endswith(f"-{weights.digest_start}.pth")
    with pytest.raises(ModelError, match="'segnet' are neither a file nor known to torchvision"):
        find_hub_weights("segnet")
    with pytest.raises(ModelError, match="holds no weights"):
        unpack_hub_file(b"not a checkpoint", weights)
