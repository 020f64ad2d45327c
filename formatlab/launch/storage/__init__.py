"""Runs folders at fsspec addresses: a task works in a scratch folder, which is sent at checkpoints.

address    opening, listing and writing at an address; retries; the lock there
folder     one run folder at an address, with the manifest of what belongs together
runs       a runs root at an address: fetch, work, send
mirror     the small files that `formatlab status` reads, copied to this machine
"""
