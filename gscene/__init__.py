"""The command line: thin commands over the folders of the data's way.

Belongs here: options, help, progress bars, exit codes, starting the Dagster, MLflow and desk servers.
Doesn't belong here: any rule; a command calls one plain function or one Dagster run.
"""
