"""Tasks on other machines: the executors of a Ray cluster, and of Slurm through sbatch."""
