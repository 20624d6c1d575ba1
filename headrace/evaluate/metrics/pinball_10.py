"""The pinball loss of the 10 % quantile."""

from headrace.evaluate.formulas import pinball

FORMULA = pinball(0.1)
