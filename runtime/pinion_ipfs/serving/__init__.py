"""The content server: what a pod gives its peers, from a process of its own."""
