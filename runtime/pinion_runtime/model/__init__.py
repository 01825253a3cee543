"""What a model's folder declares, and what its texts need before an engine has them."""
