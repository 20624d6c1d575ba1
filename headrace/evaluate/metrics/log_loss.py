"""Log loss: the mean negative logarithm of the probability that the true class was given."""

from headrace.evaluate.formulas import log_losses, mean_of_rows

FORMULA = mean_of_rows(lambda y, scores, decided: log_losses(y, scores))
