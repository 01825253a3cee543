"""The root of what can go wrong here with a message for people; anything else is a defect and shows its traceback."""


class DevClusterError(RuntimeError):
    """Something about this machine, a build or a cluster is not as needed; the message says what."""
