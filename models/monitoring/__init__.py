"""What becomes of a model in force, month by month: drift, expected and realised performance, and what they call for.

Here: measures of a month, declared thresholds, the page. Not here: validation of a training (`models.validation`), and any
act on a version: monitoring asks for a review or a retraining, people decide.
"""
