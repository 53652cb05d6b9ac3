"""From a score to a decision: cut-offs, vetoes, what they cost and bring, and the policy that is in force on a day.

Decisions are proposals to people. Models and their sign-off don't belong here, nor who may be approached (`leads`).
"""
