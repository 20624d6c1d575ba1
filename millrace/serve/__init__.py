"""One model behind `POST /predict`."""

from millrace.serve.app import app, serve

__all__ = ["app", "serve"]
