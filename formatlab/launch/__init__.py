"""Doing a study's tasks, side by side, wherever there are machines.

options, launcher   where tasks run; picks the launcher and writes the report
monitor, schedule   the account of a study: what may start, what runs, how each task ended
executor            what the monitor expects of the places where tasks run
packed_task, worker a task as it travels to a process, and how it is done there
pool, devices       the executor of this machine; GPUs, cores and threads
cluster/            the executors of Ray and Slurm
accelerate          several processes on one run
runs_root           where the runs folder is: a path, or an fsspec address
plan, progress      the tasks of the last command, written down; what a person sees meanwhile
estimate, dry_run   the time, memory and disk that tasks will take
status, clean       how far studies are; what can be removed
"""
