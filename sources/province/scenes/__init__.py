"""Scenes of the founding article at their own size: fixtures that go through real intake.

Belongs here: made-up feeds of one scene each, with its arithmetic. Doesn't belong here: the pilot population's history
(sources/province/world.py) and anything that reads deliveries.
"""
