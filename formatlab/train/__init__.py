"""Training: pretraining of bases, and reinforcement learning with every rollout kept."""
