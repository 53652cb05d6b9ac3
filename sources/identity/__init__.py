"""Direct identifiers and their detection: id numbers, telephones, cards, names, addresses.

Belongs here: how identifiers are written, checked and found in delivered cells. Doesn't belong here: keys and tokens
(sources/gateway/, sources/pseudonym.py) and what a column may be called (core/).
"""
