"""What a rollout is seen to be: its format, its answer, and whether the answer is right."""
