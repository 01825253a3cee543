"""How large a model is: as its source was found to be, or, of one that is named by CID, as pods say."""

from .revision_state import RevisionState


def told_size(state: RevisionState) -> tuple[int, int]:
    """Return the bytes of the chosen files, and their number; 0 and 0 while nobody has said so."""
    source = state.revision.source
    if source.file_count:
        return source.total_bytes, source.file_count
    for pod in (*state.workload.serving, *state.workload.current):
        if pod.status and pod.status.model.file_count:
            return pod.status.model.size_bytes, pod.status.model.file_count
    told = state.model.status.model if state.is_told else None
    return (told.size_bytes, told.file_count) if told else (0, 0)
