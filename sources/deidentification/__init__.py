"""How much a table still tells about whom: k, l, t, small classes, the grade of GB/T 42460, and cell suppression in tables of
counts.

Pseudonymised is not anonymised. Here belongs measuring what is left, and refusing a release below its threshold; what
replaces identifiers is `sources.gateway`, what finds them `sources.identity`.
"""
