"""Log loss: the mean negative logarithm of the true class's probability."""

from headrace.evaluate.formulas import log_losses, mean_of_rows

FORMULA = mean_of_rows(lambda y, scores, decided: log_losses(y, scores))
