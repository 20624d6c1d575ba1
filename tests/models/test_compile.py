import json

import onnxruntime
import pytest

from tests.conftest import Runs


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_graph_says_what_it_is(runs: Runs, task: str) -> None:
    bundle = runs(task, "gbdt").bundle
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"))
    inputs = {one.name: one.type for one in session.get_inputs()}
    assert inputs == {
        "numbers": "tensor(float)",
        "doubles": "tensor(double)",
        "strings": "tensor(string)",
        "times": "tensor(int64)",
    }
    outputs = {one.name for one in session.get_outputs()}
    assert outputs == {"prediction", "features"} | (
        {"probabilities"} if task == "multiclass" else set()
    )
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["columns"])["doubles"] == ["big"]
    assert json.loads(metadata["task"]) == task
