"""What the operator and a runtime pod say to each other, and nothing else."""
