"""What tables promise: contracts, the Great Expectations suites made from them, and the receipts that readers
demand.

Belongs here: rules on a whole table's content and the proof that they held for exactly these bytes.
Doesn't belong here: reading delivered files (sources/) and anything computed from rows (features/).
"""
