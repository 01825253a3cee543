"""What the benchmark of text generation is made of: the model, the loads, the servers, and how their answers are timed."""
