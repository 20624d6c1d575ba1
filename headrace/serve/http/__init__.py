"""HTTP: connections, messages, tokens, hosts; nothing of models."""
