"""Platform migration: from the feeds of old platforms to those of the new one, on trial first, checked row by row.

Belongs here: the definition, the states, the lanes, the crosswalk, the parity checks on canonical rows, promotion and rollback.
Doesn't belong here: checks on features, scores and lists (`features/`, `models/`, `leads/`), and the run of all of them
(`pipelines/`).
"""
