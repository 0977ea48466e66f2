"""Every error is one of segflow's and the builtin that people catch."""

import pytest

from segflow import errors
from segflow.errors import SegflowError

BUILTINS = {
    "SettingsError": ValueError,
    "SceneError": OSError,
    "SceneMismatchError": OSError,
    "ModelError": ValueError,
    "OutputError": OSError,
    "OutputExistsError": OSError,
    "OutputBusyError": OSError,
    "DamagedError": OSError,
    "TileError": RuntimeError,
    "ClusterError": RuntimeError,
    "FlowError": RuntimeError,
    "TrainingError": RuntimeError,
}
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


def test_the_tree_is_complete():
    names = {cls.__name__ for cls in CLASSES}

    assert names == {*BUILTINS, "SegflowError"}
    assert sorted(names) == errors.__all__
    assert all(name in str(errors.__doc__) for name in names)


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_an_error_is_segflows_and_the_builtin(name, builtin):
    cls = getattr(errors, name)

    assert issubclass(cls, SegflowError)
    assert issubclass(cls, builtin)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_message_is_printed_as_it_was_given(cls):
    message = "scene.tif has 3 bands, but model forest needs 4: choose bands with --bands"

    assert str(cls(message)) == message
