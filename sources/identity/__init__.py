"""What must not come in: detectors of direct identifiers, looked for in every cell of every column, ignored columns too.

Here belong the checks of numbers (resident ids, credit codes, telephones, cards), of names, addresses and plates, and the
decision whether what was found in a column is more than chance. What replaces identifiers is `sources.gateway`.
"""

from sources.identity.guard import refuse_identities
from sources.identity.numbers import is_resident_id
from sources.identity.stream import IdentityScan

__all__ = ["IdentityScan", "is_resident_id", "refuse_identities"]
