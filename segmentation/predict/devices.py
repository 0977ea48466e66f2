"""Devices that a network can run on."""

import os

import torch

from segflow.errors import SettingsError


def choose_device(wanted: str) -> torch.device:
    """Give the device for ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    SettingsError
        If a CUDA device was asked for that is not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            msg = f"device {wanted} is not there: found {count} CUDA device(s); use --device auto or cpu"
            raise SettingsError(msg)
    return device


def visible_gpus() -> tuple[str, ...]:
    """Give the GPUs that this process sees, named as ``CUDA_VISIBLE_DEVICES`` names them; opens none of them."""
    return name_gpus(torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES", ""))


def name_gpus(count: int, variable: str) -> tuple[str, ...]:
    """Give the names of `count` GPUs: those in the variable, or numbers where it is empty."""
    named = tuple(name.strip() for name in variable.split(",") if name.strip())
    return named[:count] if named else tuple(str(index) for index in range(count))


def describe_devices() -> tuple[str, ...]:
    """Give a line per device: the CPU with its thread count, each GPU with its memory."""
    gpus = tuple(
        f"cuda:{index} {torch.cuda.get_device_name(index)}, "
        f"{torch.cuda.get_device_properties(index).total_memory / 2**30:.0f} GiB"
        for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    )
    return (f"cpu, {torch.get_num_threads()} threads", *gpus)
