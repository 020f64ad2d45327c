"""A study on many machines, by Ray or Slurm, with its folder on a shared path or at an address.

options               which launcher, and what each task asks for
cluster               what takes tasks, and the launcher's account of them
ray_cluster, slurm    the two that there are
assignment            a task as it travels to another machine
place                 where the runs folder is
remote_runs           at an address: a task works in a scratch folder that is sent as it grows
remote_folder         how a run folder is sent, so that it can be gone on with
mirror                what tells how far studies at an address are, copied to this machine
patience              tries again what fails because the network is away
storage               what is at an address: opened, listed, written to
remote_record         the lock there
"""
