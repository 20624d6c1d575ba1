"""The HTTP service: it serves models by name, version and alias over the protocols of clients.

A request passes these files, from top to bottom:

    run.py          one process; or several behind one socket, with workers.py
    http/           connections, messages, tokens and hosts; knows nothing of models
    service.py      finds the endpoint, checks the token, turns errors into replies
    api/            one file a protocol: /predict, /v2, /invocations, /events, pages
    models/         versions and aliases, batches, window features, the log of predictions
    metrics/        counters, and their Prometheus page
"""

from headrace.serve.http.tokens import add_token
from headrace.serve.run import make_service, serve

__all__ = [
    "add_token",
    "make_service",
    "serve",
]
