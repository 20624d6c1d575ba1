"""The models in service: which are there, what they answer, what is logged."""
