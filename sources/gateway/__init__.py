"""The pseudonymisation gateway, which runs at the provider or in the bank's secure zone, before anything comes to gscene.

Here belong its keys, its plans, reading and writing files block by block, normalising ids, replacing them by tokens, and
crosswalks between keys. Nothing here opens a home folder: no ledger, no table, no network.
"""
