"""The metrics of each task by name; `evaluate` computes them."""

from headrace.spec.system import Task

METRICS: dict[Task, tuple[str, ...]] = {
    "binary": (
        "roc_auc", "average_precision", "log_loss", "normalized_entropy", "brier", "calibration_error",
        "calibration_ratio", "precision", "recall", "f1", "accuracy",
    ),
    "multiclass": ("log_loss", "accuracy", "macro_f1", "weighted_f1", "top_3_accuracy"),
    "regression": ("rmse", "mae", "mape", "r2", "pinball_10", "pinball_90"),
}  # fmt: skip
"""The metrics of each task; the first is the default."""

SMALLER_IS_BETTER = {
    "log_loss", "normalized_entropy", "brier", "calibration_error", "rmse", "mae", "mape", "pinball_10", "pinball_90",
}  # fmt: skip
