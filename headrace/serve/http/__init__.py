"""HTTP: connections, messages, tokens and hosts; this wing knows nothing of models."""
