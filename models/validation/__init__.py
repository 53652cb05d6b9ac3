"""Validation of a trained model on rows that it hasn't seen: every statistic with formula, source, declared limit and verdict.

Belongs here: statistics of scores, grades, segments, stress, leaks and fairness, and the one result type that they share.
Doesn't belong here: fitting, choosing or signing a model, and anything that keeps a row of anybody.
"""
