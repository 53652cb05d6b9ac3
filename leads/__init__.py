"""Whom to call and what to say: consent, suppression, eligibility, value, selection under capacity, lists and their exports.

Belongs here: everything between scores and a list that a branch works through, for marketing consent only.
Doesn't belong here: training or scoring models, contacts of any kind (a list carries tokens), web pages.
"""
