"""Dagster alone: partitions, assets, checks, jobs, schedules, sensors and the resources that assets are handed.

Belongs here: wiring, metadata, asset bodies of a few lines that read, call a plain function and write.
Doesn't belong here: any rule about data, features, models or leads.
"""
