"""Model files from checkpoints of other tools: read without running them, matched, probed, packaged."""

from dataclasses import asdict, replace
from pathlib import Path

from segflow import __version__
from segflow.configs.importing import ImportSettings
from segflow.configs.loader import load_settings
from segflow.errors import OutputExistsError, SettingsError
from segflow.flows.models.lookup import SUFFIX, ModelRef, find_model
from segflow.flows.models.onnx_importing import SUFFIX as ONNX_SUFFIX
from segflow.flows.models.onnx_importing import as_graph, import_graph
from segflow.io.models.checkpoints import read_checkpoint
from segflow.io.models.packages import write_model_file
from segflow.io.storage.files import sha256_file
from segflow.segmentation.networks.published.state_dicts import Checkpoint, select_weights, unpack_checkpoint
from segflow.segmentation.networks.registry import Network, build_network
from segflow.segmentation.predict.weights import load_weights, pack_weights
from segflow.segmentation.probe import guarantee_for, probe_network
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.training.decision import add_biases
from segflow.segmentation.training.tile_differences import measure_bounded


def import_model(
    checkpoint: Path,
    out: Path,
    *,
    spec: Path | None = None,
    like: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> ModelRef:
    """Package the weights in a checkpoint as a model file.

    Parameters
    ----------
    checkpoint
        A .pt, .pth or .ckpt of torch.save, a .safetensors, or an .onnx, which becomes a model as it is.
    out
        The model file to write.
    spec, like
        What the checkpoint does not say: a YAML file (`ImportSettings`), or a model with the same network,
        bands and classes. One of them; none for a checkpoint of `segflow train`, which says it all, and for a
        graph with metadata.
    name
        Name of the new model; None: the spec's, or the stem of `out` where `like` is given.
    overwrite
        Whether `out` may be replaced.

    Raises
    ------
    SegflowError
        If the checkpoint could run code, its weights are not those of the network or not finite,
        the settings do not fit, or the file cannot be written.
    """
    _check_out(out, overwrite=overwrite)
    if checkpoint.suffix.casefold() == ONNX_SUFFIX:
        _import_graph(checkpoint, out, spec, like, name)
        return find_model(str(out))
    source = f"checkpoint {checkpoint}"
    found = unpack_checkpoint(read_checkpoint(checkpoint), source=str(checkpoint))
    wanted, margin = _wanted(found, spec, like, name)
    wanted = replace(wanted, name=out.stem) if like and not name else wanted
    network = build_network(
        wanted.architecture, wanted.arguments, in_channels=len(wanted.bands), classes=len(wanted.classes)
    )
    weights = select_weights(found.arrays, pack_weights(network))
    load_weights(network, weights, source=source, architecture=wanted.architecture)
    if found.biases is not None:
        add_biases(network, found.biases)
    provenance = {**wanted.provenance, "checkpoint": checkpoint.name, "sha256": sha256_file(checkpoint)}
    whole = replace(_measured(wanted, network, margin), provenance=provenance)
    write_model_file(out, whole.to_json(), pack_weights(network))
    return find_model(str(out))


def _import_graph(path: Path, out: Path, spec: Path | None, like: str | None, name: str | None) -> None:
    """Package an ONNX graph, described by its metadata or by what was given."""

    def by_hand() -> tuple[ModelSpec, int | None]:
        wanted, margin = _described(spec, like, name)
        wanted = replace(wanted, name=out.stem) if like and not name else wanted
        return as_graph(wanted, like=like is not None), margin

    said = spec is not None or like is not None
    import_graph(path, out, name=name or out.stem, by_hand=by_hand if said else None)


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix != SUFFIX:
        msg = f"model file {out} must end in {SUFFIX}: choose such a name with --out"
        raise SettingsError(msg)
    if out.exists() and not overwrite:
        msg = f"model file {out} is there already: choose another name with --out, or replace it with --overwrite"
        raise OutputExistsError(msg)


def _wanted(found: Checkpoint, spec: Path | None, like: str | None, name: str | None) -> tuple[ModelSpec, int | None]:
    """Give what is known of the model before its network is measured, and its margin; None: as exactness needs."""
    if found.spec is not None and spec is None and like is None:
        own = ModelSpec.from_json(found.spec)
        return replace(own, name=name or own.name), own.margin
    return _described(spec, like, name)


def _described(spec: Path | None, like: str | None, name: str | None) -> tuple[ModelSpec, int | None]:
    """Give what the user says of the model, and its margin."""
    if (spec is None) == (like is None):
        msg = "importing needs one of --spec FILE.yaml, which describes the model, and --like MODEL, which it resembles"
        raise SettingsError(msg)
    if like is not None:
        model = find_model(like)
        provenance = {"segflow": __version__, "like": f"{model.spec.name} {model.spec.version}"}
        return replace(_unmeasured(model.spec), name=name or model.spec.name, provenance=provenance), None
    settings = load_settings(ImportSettings, file=spec, options={"name": name})
    described = ModelSpec(
        name=settings.name,
        version=settings.version,
        architecture=settings.architecture,
        arguments=settings.arguments,
        bands=tuple(BandSpec(**asdict(band)) for band in settings.bands),
        dtype=settings.dtype,
        gsd=settings.gsd,
        gsd_range=settings.accepted,
        classes=tuple(ClassSpec(**asdict(entry)) for entry in settings.classes),
        stride=1,
        dependency=None,
        margin=0,
        guarantee="unbounded",
        core=settings.core,
        data=settings.description,
        licence=settings.licence,
        provenance={"segflow": __version__},
    )
    return described, settings.margin


def _unmeasured(spec: ModelSpec) -> ModelSpec:
    """Give a spec without what other weights earned: scores, calibration, data and licence."""
    return ModelSpec(
        name=spec.name,
        version="1",
        architecture=spec.architecture,
        arguments=spec.arguments,
        bands=spec.bands,
        dtype=spec.dtype,
        gsd=spec.gsd,
        gsd_range=spec.gsd_range,
        classes=spec.classes,
        stride=1,
        dependency=None,
        margin=0,
        guarantee="unbounded",
        core=spec.core,
    )


def _measured(spec: ModelSpec, network: Network, margin: int | None) -> ModelSpec:
    """Give the spec with the stride, dependency, margin and guarantee of its network, and what that guarantee costs."""
    probe = probe_network(network, len(spec.bands))
    margin, guarantee = guarantee_for(probe, margin)
    measured = replace(spec, stride=probe.stride, dependency=probe.dependency, margin=margin, guarantee=guarantee)
    return measure_bounded(measured, network.eval())
