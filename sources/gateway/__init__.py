"""The pseudonymisation gateway: run at the provider or in the bank's secure zone, before anything is delivered.

Belongs here: keys, tokens, replacing ids in files, crosswalks. Doesn't belong here: anything that reads deliveries
(sources/) or that could turn a token back.
"""
