"""What a study will take in time, memory and disk, before it is run.

trial, training_trial small pieces of the lab's real work
memory                what a process held, and what the machine has left
calibration           what the trials cost on this machine, kept
past_paces            what finished runs took
estimate              a task
foreseen              a task of a command: its state and its estimate
outlook               a study, on the devices there are
dry_run               what `--dry-run` prints of it: table, then summary
dry_run_table         a line a corpus and an arm
dry_run_summary       what it comes to in all, and what will not fit
quantity, seed_range  times, sizes and seeds in words
"""
