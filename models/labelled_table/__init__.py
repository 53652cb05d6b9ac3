"""Any labelled table as a modelling sample: read, given roles, encoded, split, and put through the same training and validation
as the models of a home folder. No delivery, no receipt and no sign-off stands behind it, so what comes out may not score.
"""
