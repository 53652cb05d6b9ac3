"""What a modelling sample is made of and whom it leaves out: waterfall, cohorts, base shift, selection, reject inference.

Nothing here fits the model that scores.
"""
