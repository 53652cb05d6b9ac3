"""The simulated province: a made-up pilot population whose platforms and bank deliver files as real ones do.

Here belong the behaviour of people, firms and accounts, and the dialects, lateness and faults of what is sent about them.
Not here: reading deliveries (adapters do that, from files alone), and anything the pipeline computes; `truth/` is for judging.
"""
