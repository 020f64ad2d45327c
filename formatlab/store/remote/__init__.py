"""Runs folders at fsspec addresses.

address    opening, listing and writing at an address; retries; the lock there
folder     one run folder at an address, with the manifest of what belongs together
scratch    where they are worked on, on a disk of this machine
mirror     the small files that `formatlab status` reads, copied to this machine
"""
