"""The files beside an ejected script: a container for the bundle, a CI job, a guide."""

FILES = {
    "Dockerfile": """# {model} as a service: docker build -t model . ; docker run -p 8080:8080 model
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 \\
    && rm -rf /var/lib/apt/lists/*
# the wheel of Headrace: `python -m build --wheel` in its checkout writes it
COPY headrace-*.whl /tmp/
RUN pip install --no-cache-dir /tmp/headrace-*.whl
COPY bundle /model
EXPOSE 8080
CMD ["headrace", "serve", "/model", "--host", "0.0.0.0", "--open"]
""",
    ".github/workflows/model.yml": """name: model
on: [push]
jobs:
  refit:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.11"}
      - run: pip install -r requirements.txt
      - run: python train.py  # the table lies beside it; fails where the model predicts otherwise
  bundle:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.11"}
      - run: pip install ./headrace-*.whl
      - run: headrace verify bundle
""",
    "README.md": """# {model}

| | |
| --- | --- |
| `train.py` | fits the model again; `requirements.txt` names what it needs |
| `rows.parquet` | the numbers of the rows that the model is fitted on, and their folds |
| `holdout.parquet`, `predictions.parquet` | the test rows, and the bundle's predictions of them |
| `bundle/` | the model as one ONNX graph, which any ONNX Runtime runs |
| `Dockerfile` | the bundle as a service; it needs the wheel of Headrace beside it |
| `.github/workflows/model.yml` | a job that fits again and verifies; it needs the table, too |
""",
}
"""Text by path; `{model}` stands for the name and version."""
