"""Screening of features before a model sees them: gaps, strength, stability, likeness, leaks.

Belongs here: statistics of single features and their report. Doesn't belong here: anything that fits a model.
"""
