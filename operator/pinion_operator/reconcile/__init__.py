"""Pure decisions: what was observed -> what to do."""
