"""The states of encoders: what they learn from a column, each with its part of the graph."""
