"""Measures of a model and of its training, with their intervals: functions of arrays."""

from lstm_attn.analysis.differences import (
    Difference,
    compare_records,
    paired_median_difference,
    paired_rate_difference,
    rate_difference,
)
from lstm_attn.analysis.exact_tests import IndependentTest, exact_tests, independent_rate_test
from lstm_attn.analysis.gradient_reach import gradient_norms, norms_of_trials, reach
from lstm_attn.analysis.hierarchical_bootstrap import hierarchical_bootstrap
from lstm_attn.analysis.horizon import (
    BudgetFit,
    HorizonFit,
    fit_against_budget,
    fit_horizon,
    next_lengths,
)
from lstm_attn.analysis.inside import (
    attention_distance,
    crossing,
    cuts_of,
    look,
    look_at_trials,
    metrics_when_cut,
    time_scales,
)
from lstm_attn.analysis.intervals import (
    Interval,
    bounded_mean_interval,
    mean_interval,
    median_interval,
    rate_interval,
)
from lstm_attn.analysis.length_generalisation import (
    LengthGeneralisation,
    horizon_beyond,
    length_generalisation,
)
from lstm_attn.analysis.paired_tests import (
    PairedTest,
    holm,
    paired_rate_test,
    paired_sign_test,
    table_of_tests,
    verdict,
)
from lstm_attn.analysis.solving import (
    Window,
    by_learning_rate,
    learning_rate_window,
    median_steps,
    summarise,
)
from lstm_attn.analysis.survival import SurvivalCurve, log_rank, restricted_mean, survival_curve

__all__ = [
    "BudgetFit",
    "Difference",
    "HorizonFit",
    "IndependentTest",
    "Interval",
    "LengthGeneralisation",
    "PairedTest",
    "SurvivalCurve",
    "Window",
    "attention_distance",
    "bounded_mean_interval",
    "by_learning_rate",
    "compare_records",
    "crossing",
    "cuts_of",
    "exact_tests",
    "fit_against_budget",
    "fit_horizon",
    "gradient_norms",
    "hierarchical_bootstrap",
    "holm",
    "horizon_beyond",
    "independent_rate_test",
    "learning_rate_window",
    "length_generalisation",
    "log_rank",
    "look",
    "look_at_trials",
    "mean_interval",
    "median_interval",
    "median_steps",
    "metrics_when_cut",
    "next_lengths",
    "norms_of_trials",
    "paired_median_difference",
    "paired_rate_difference",
    "paired_rate_test",
    "paired_sign_test",
    "rate_difference",
    "rate_interval",
    "reach",
    "restricted_mean",
    "summarise",
    "survival_curve",
    "table_of_tests",
    "time_scales",
    "verdict",
]
