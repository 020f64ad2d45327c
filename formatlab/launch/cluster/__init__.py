"""Tasks on other machines: the executors of Ray and Slurm.

ray_cluster    tasks of a Ray cluster
slurm          jobs through sbatch
"""
