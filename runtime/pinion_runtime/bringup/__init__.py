"""From a configuration to a model that answers, and back."""
