"""What FastAPI and MLServer users would serve, in an environment of their own: FOLDER holds the
table and our graph.

`python serving_peer.py FOLDER` fits the pipeline and writes MLServer's settings; `KIND` (pipeline,
graph) says what the app of FastAPI holds. The echo answers with the body that it got.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("FOLDER", "."))
KIND = os.environ.get("KIND", "")
NUMERIC = [f"num_{position}" for position in range(12)]
TEXT = [f"cat_{position}" for position in range(8)]


def fit(folder: Path) -> None:
    """Imputer, ordinal encoder and LightGBM, as in `embedded.py`."""
    import joblib
    import pandas as pd
    from lightgbm import LGBMClassifier
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    data = pd.read_parquet(folder / "table.parquet")
    text = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = [("numeric", SimpleImputer(strategy="median"), NUMERIC), ("text", text, TEXT)]
    model = LGBMClassifier(n_estimators=200, num_leaves=31, random_state=0, verbose=-1)
    pipeline = Pipeline([("prepare", ColumnTransformer(steps)), ("model", model)])
    joblib.dump(pipeline.fit(data[NUMERIC + TEXT], data["target"]), folder / "pipeline.joblib")
    for kind in ("pipeline", "graph"):
        home = folder / f"mlserver-{kind}"
        home.mkdir()
        ports = {"http_port": 9103, "grpc_port": 9113, "metrics_port": 9123}
        (home / "settings.json").write_text(
            json.dumps(ports | {"parallel_workers": 0, "debug": False})
        )
        named = {
            "name": "scorer",
            "implementation": f"serving_peer.mlserver_{kind}",
            "parameters": {"version": "v1"},
        }
        (home / "model-settings.json").write_text(json.dumps(named))


def scorer(kind: str) -> Any:
    """Rows to scores, by the pipeline or by our graph."""
    if kind == "pipeline":
        import joblib
        import pandas as pd

        model = joblib.load(FOLDER / "pipeline.joblib")
        return lambda rows: model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"), options)
    groups = json.loads(session.get_modelmeta().custom_metadata_map["columns"])
    types = {"numbers": np.float32, "doubles": np.float64, "strings": object}

    def score(rows: list[dict[str, Any]]) -> list[float]:
        feeds = {
            group: np.array([[row[name] for name in names] for row in rows], types[group])
            for group, names in groups.items()
        }
        scores: list[float] = session.run(["prediction"], feeds)[0][:, 0].tolist()
        return scores

    return score


if KIND in ("pipeline", "graph"):
    from fastapi import FastAPI

    app = FastAPI()
    score_rows = scorer(KIND)

    @app.post("/predict")
    def predict(body: dict[str, Any]) -> dict[str, Any]:
        return {"scores": score_rows(body["rows"])}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """A bare ASGI application."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"application/json"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


try:
    from mlserver import MLModel
    from mlserver.codecs import NumpyCodec, PandasCodec
    from mlserver.types import InferenceRequest, InferenceResponse
except ImportError:
    pass
else:

    class _Scorer(MLModel):
        kind = ""

        async def load(self) -> bool:
            self._score = scorer(self.kind)
            return True

        async def predict(self, payload: InferenceRequest) -> InferenceResponse:
            import numpy as np

            frame = self.decode_request(payload, default_codec=PandasCodec)
            scores = np.array(self._score(frame.to_dict("records")))
            output = NumpyCodec.encode_output("scores", scores)
            return InferenceResponse(model_name=self.name, outputs=[output])

    class mlserver_pipeline(_Scorer):  # noqa: N801
        """MLServer with the pipeline."""

        kind = "pipeline"

    class mlserver_graph(_Scorer):  # noqa: N801
        """MLServer with our graph."""

        kind = "graph"


if __name__ == "__main__":
    fit(Path(sys.argv[1]))
