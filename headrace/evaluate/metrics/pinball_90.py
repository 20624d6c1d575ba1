"""The pinball loss of the 90 % quantile."""

from headrace.evaluate.formulas import pinball

FORMULA = pinball(0.9)
