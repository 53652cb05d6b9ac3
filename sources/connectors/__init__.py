"""Connections to the machines that deliver: a folder, an SFTP server, an exchange over HTTPS, a database's tables.

Belongs here: everything between a source's machine and a whole delivery folder in `<home>/inbox` with its entry in the
ledger. Doesn't belong here: what a delivery says (sources/delivery.py), and judging or converting its rows.
"""
