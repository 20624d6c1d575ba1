"""The OpenAPI document and the service agree, whatever is sent."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Runs
from tests.serve.running import Running
from tests.serve.test_service import folder_of

CHECKS = (
    "not_a_server_error,status_code_conformance,"
    "content_type_conformance,response_schema_conformance"
)


@pytest.mark.parametrize("examples", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_the_document_is_kept(runs: Runs, tmp_path: Path, examples: int) -> None:
    with Running(folder_of(runs("multiclass", "gbdt"))) as service:
        command = [
            Path(sys.executable).with_name("st"),
            "run",
            service.url + "/openapi.json",
            "--checks",
            CHECKS,
        ]
        options = [
            "--max-examples",
            str(examples),
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
        ]
        options += [
            "--header",
            "x-headrace-deadline-ms: 60000",
        ]  # a shorter one may rightly be answered with 504
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-5000:]
