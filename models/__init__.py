"""From features and outcomes to a model that can be trusted with a score: labels, samples, two candidates,
calibration, bundles, ledger.

Belongs here: label rules, binning and scorecard, LightGBM, discrimination, calibration, grades, bundles,
scoring, MLflow ledger, review report. Doesn't belong here: how a feature is computed, who is offered what,
anything about Dagster or the web pages.
"""
