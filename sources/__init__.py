"""Feeds: deliveries and their ledger, adapters per platform, strict reading, pseudonymisation on entry,
versions of rows.

Belongs here: everything between a delivered file and the rows of `raw/<subject>/<table>`, and the simulated
province. Doesn't belong here: what a table must look like (expectations/) and anything computed from rows
(features/).
"""
