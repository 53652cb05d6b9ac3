"""Why a model says what it says: reasons for one asked subject, and what drives the scores of all.

Reasons are told in reviewed sentences and checked by changing the input; nothing here holds or keeps a row of anybody.
"""
