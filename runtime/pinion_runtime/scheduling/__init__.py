"""Who goes next: limits, fairness and the rate of an engine."""
