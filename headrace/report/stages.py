"""The flow of a run as it is drawn: one line a stage."""

from typing import Any

from headrace.report.words import number


def stages(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The flow as it is drawn: what each stage did, and its seconds."""
    rows, seconds = document["rows"], document["seconds"]
    noticed = sum(one["check"].startswith(("leak.", "split.")) for one in document["findings"])
    used = sum(column["kind"] != "ignored" for column in document["columns"])
    total = sum(rows[part] for part in ("train", "validation", "test", "purged"))
    judged = document["metric"]
    told = {
        "tables": f"{total:,} rows × {len(document['columns'])} columns",
        "split": f"by {document['split']}: {rows['train']:,} / {rows['validation']:,} / {rows['test']:,}",
        "features": f"{used} columns are inputs",
        "explore": f"{noticed} finding{'s' * (noticed != 1)}",
        "train": f"{len(document['candidates'])} candidates",
        "refit": f"{document['winner']['family']} on {rows['fitted']:,} rows",
        "evaluate": f"test {judged['name']} {number(judged['test'])}",
        "gates": f"{sum(gate['passed'] for gate in document['gates'])} of {len(document['gates'])} passed",
        "bundle": "checked: the graph equals its trainer",
    }
    if document.get("promoted") is not None:
        told["registry"] = "promoted to champion" if document["promoted"] else "refused"
    if any(column["window"] for column in document["columns"]):
        told = {"tables": told["tables"], "events": "window features joined", **told}
    return [{"name": name, "what": what, "seconds": seconds.get(name, 0.0)} for name, what in told.items()]
