"""The small kernel that every other package may import: time, money, subjects, errors, storage, state.

Belongs here: what at least two later folders need and what knows nothing of any feed, feature or model.
Doesn't belong here: anything about one source, one table or one user group.
"""
