"""A second training on training and validation scenes together, for the number of epochs that the first chose.

Where labelled scenes are few, the validation scenes are missed in training. So they choose the number
of epochs first; then a network is trained on them too, from the same initial weights, under the same
schedule and for that number of epochs.
"""

from collections.abc import Mapping, Sequence

from segflow.configs.training import TrainSettings
from segflow.flows.progress import Progress, stage
from segflow.flows.train.epochs import RefitWatch
from segflow.flows.train.recipe import make_recipe, make_task
from segflow.io.storage.files import replace_file
from segflow.io.work.training_log import REFIT
from segflow.segmentation.networks.registry import Network
from segflow.segmentation.predict.weights import round_kernels
from segflow.segmentation.spec import ModelSpec
from segflow.segmentation.training.checkpoints import BEST, read_checkpoint
from segflow.segmentation.training.chips import Sample
from segflow.segmentation.training.loop import Logs, refit_network


def refit_model(
    settings: TrainSettings,
    network: Network,
    spec: ModelSpec,
    samples: Sequence[Sample],
    progress: Progress,
    *,
    identity: Mapping[str, object],
    resume: bool,
) -> Network:
    """Train from the start on training and validation scenes, with checkpoints in a folder of its own.

    Parameters
    ----------
    settings
        Those of the first training, which has chosen the number of epochs and the biases.
    network
        The network with the initial weights of that training; its weights change.
    spec
        The model's spec.
    samples
        The scenes.
    progress
        Where progress is reported.
    identity
        Settings and data, JSON values: what must not change between an interrupted refit and its resumption.
    resume
        Whether to resume an interrupted refit.
    """
    folder, recipe = settings.log_folder, make_recipe(settings)
    epochs = read_checkpoint(folder / BEST)["best_epoch"]
    watch = RefitWatch(progress, recipe.steps)
    progress.note(f"refit: learns from training and validation scenes anew, for the {epochs} epochs of the best one")
    with stage(progress, "refit", epochs * recipe.steps, "steps"):
        network = refit_network(
            network,
            samples,
            chosen=folder,
            task=make_task(spec),
            recipe=recipe,
            logs=Logs(
                folder=folder / REFIT, identity=identity, replace=replace_file, spec=spec.to_json(), resume=resume
            ),
            observer=watch,
        )
    if settings.half_weights:
        round_kernels(network)
    return network
