"""Tasks on other machines: the executors of Ray and Slurm.

remote_task    a task as it travels to another machine, and how it is done there
ray_cluster    tasks of a Ray cluster
slurm          jobs through sbatch
"""
