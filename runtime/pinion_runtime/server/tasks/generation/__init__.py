"""What the routes that generate share: their parameters, and the parts of their answers."""
