"""From accepted rows to features as they were known on a date: monthly facts, windows over them, the catalogue that names both.

Belongs here: folding, as-of rules, window formulas, fact and feature definitions (YAML).
Doesn't belong here: reading deliveries, labels, models, or anything that knows which model will use a feature.
"""
