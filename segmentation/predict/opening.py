"""The engine for a device: one place that knows which there are."""

from torch import nn

from segflow.segmentation.predict.cuda_engine import CudaEngine
from segflow.segmentation.predict.devices import choose_device
from segflow.segmentation.predict.engines import TorchEngine
from segflow.segmentation.spec import ModelSpec


def open_engine(
    network: nn.Module,
    spec: ModelSpec,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    probabilities: bool = False,
) -> TorchEngine:
    """Give the engine of a network on a device; parameters as for `TorchEngine`.

    Raises
    ------
    SettingsError
        If the device is not there, or the precision is unknown or not for this device.
    """
    kind = CudaEngine if choose_device(device).type == "cuda" else TorchEngine
    return kind(network, spec, device=device, precision=precision, threads=threads, probabilities=probabilities)
