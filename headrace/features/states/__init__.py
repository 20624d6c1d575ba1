"""What encoders learn from a column: states that merge, each with its part of the graph."""
