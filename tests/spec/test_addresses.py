"""Secrets in addresses: refused in a spec, given by the environment, never printed."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import headrace
from headrace.errors import InputError
from headrace.spec import Data, Goal, System
from headrace.spec.addresses import find_secret, mask_secrets, resolve_address, show_address

SECRETS = [
    "redis://:S3CRET@db:6379/0",
    "rediss://me:S3CRET@db/0",
    "redis://db/0?password=S3CRET",
    "postgresql://me:S3CRET@db/shop",
    "postgresql://db/shop?user=me&password=S3CRET",
    "postgresql://db/shop?sslpassword=S3CRET",
    "http://host/rows.csv?sig=S3CRET",
    "https://host/rows.csv?a=1&X-Amz-Signature=S3CRET&b=2",
    "https://host/rows.csv?X-Goog-Credential=S3CRET",
    "https://host/rows.csv?access_token=S3CRET",
    "https://host/rows.csv?AWSAccessKeyId=S3CRET",
    "https://S3CRET@host/rows.csv",
    "https://me:S3CRET@host/rows.csv",
    "simplecache::https://me:S3CRET@host/rows.csv",
    "zip://rows.csv::https://host/rows.zip?key=S3CRET",
    "s3://me:S3CRET@bucket/rows.parquet",
    "redis://:p@S3CRET@db/0",
    "postgresql://me:S3CRET#x@host/db",
    "postgresql://me:S3CRET?x@host/db",
    "postgresql://host/db?%70assword=S3CRET",
    "postgresql://host/db?password = S3CRET",
    "redis://me:pa ss S3CRET@db/0",
    "https://h/x#access_token=S3CRET",
    "https://h/x?jwt=S3CRET",
    "https://h/x?a=1&bearer=S3CRET",
    "https://h/x?hmac=S3CRET",
    "https://h/x?privatekey=S3CRET",
    "https://h/x?private_key=S3CRET",
    "https://h/x?pw=S3CRET",
    "https://h/x?sessionid=S3CRET",
    "https://h/x;jsessionid=S3CRET",
    "https://h/x?code=S3CRETS3CRETS3CRET",
]
PLAIN = [
    "rows.csv",
    "parts/*.parquet",
    "sqlite:///shop.db",
    "postgresql://me@db/shop?sslmode=require",
    "redis://me@db/0?socket_timeout=5",
    "https://host/rows.csv?version=3&design=new&keyspace=a",
    "s3://bucket/rows@2024.parquet",
    "https://host/a@b.csv",
    "redis://:${REDIS_PASSWORD}@db/0",
    "https://host/rows.csv?sig=${SIGNATURE}",
    *(f"https://host/rows.csv?{one}" for one in (
        "author=Smith", "passengers=3", "compass=N", "bypass=1", "country_code=DE", "code=AAPL",
        "sort_key=a",
        "partition_key=a", "max_tokens=5", "signature_version=4", "design=S3CRET", "keyword=blue",
    )),
    "postgresql://u@h/db?passfile=/x",
    "postgresql://u@h/db?require_auth=scram-sha-256",
]  # fmt: skip


def spec(**changes: Any) -> dict[str, Any]:
    return {"name": "s", "goal": {"target": "y"}, "data": {"source": "t.csv"}} | changes


@pytest.mark.parametrize("address", SECRETS)
def test_a_secret_is_refused_and_not_shown(address: str, tmp_path: Path) -> None:
    assert find_secret(address)
    assert "S3CRET" not in show_address(f"cannot reach {address} today")
    for one in (
        spec(store=address),
        spec(data={"source": address}),
        spec(data={"source": "t.csv", "holdout": address}),
        spec(data={"source": "t.csv", "events": {"clicks": {"source": address, "time": "at"}}}),
    ):
        (tmp_path / "system.yaml").write_bytes(msgspec.yaml.encode(one))
        with pytest.raises(InputError, match=r"\$\{NAME\}") as error:
            headrace.load(tmp_path)
        assert "S3CRET" not in str(error.value)
        assert error.value.where.startswith(("store", "data."))


@pytest.mark.parametrize("address", PLAIN)
def test_what_is_not_secret_is_let_be(address: str) -> None:
    assert find_secret(address) == ""
    assert show_address(address) == address
    assert System(name="s", goal=Goal(target="y"), data=Data(source=address)).data


def test_the_environment_gives_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "redis://:${CACHE_PASSWORD}@db/0"
    with pytest.raises(InputError, match=r"\$\{CACHE_PASSWORD\} is not set"):
        resolve_address(address, "store")
    monkeypatch.setenv("CACHE_PASSWORD", "S3CRET")
    assert resolve_address(address, "store") == "redis://:S3CRET@db/0"
    assert mask_secrets("no route to redis://:S3CRET@db/0 (S3CRET)", address) == (
        "no route to redis://:${CACHE_PASSWORD}@db/0 (${CACHE_PASSWORD})"
    )
