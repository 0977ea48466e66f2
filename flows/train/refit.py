"""A second training, on all scenes but the test's, when the first has chosen its length.

Where labelled scenes are few, those that only choose the best epoch are missed among those to learn
from. So the length is chosen by them, and then a network learns from them too: as many epochs under
the same schedule, from the same first weights.
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
    """Train anew on training and validation scenes, with checkpoints in a folder of its own.

    Parameters
    ----------
    settings
        Those of the training that has chosen the number of epochs and the biases.
    network
        What that training started from; its weights change.
    spec
        The model's spec.
    samples
        The scenes.
    progress
        Who watches.
    identity
        Settings and data, JSON values: what must not change between an interrupted refit and its resumption.
    resume
        Whether to go on where an interrupted refit ended.
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
