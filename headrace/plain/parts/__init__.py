"""The parts of an ejected script: scikit-learn, LightGBM and Polars alone, one idea a file.

A function computes what the encoder or the family of the same name computes, digit by digit: the
fits of both see the same numbers.
"""
