"""One model behind `POST /predict`."""

from millrace.serve.service import app, serve

__all__ = ["app", "serve"]
