"""The models in service: their versions, their answers, and the log of predictions."""
