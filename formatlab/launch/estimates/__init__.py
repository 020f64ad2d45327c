"""What a study will take in time, memory and disk, before it is run.

trial, training_trial small pieces of the lab's real work
memory                what a process held, and what the machine has left
calibration           what the trials cost on this machine, kept
past_paces            what finished runs took
estimate              a task
outlook               a study, on the devices there are
dry_run               what `--dry-run` prints of it
"""
