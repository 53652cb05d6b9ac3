"""What a subject may ask for: to know what is held (PIPL art. 45) and to have it erased (art. 47), across every stage.

Belongs here: finding a subject in all stores, access reports, erasure with its recalls and marks.
Doesn't belong here: consent and suppression, which are rules of the stages themselves (features/entitlement.py).
"""
