"""Fixtures live in tests/support, one file per family."""

pytest_plugins = [
    "tests.support.hub",
    "tests.support.kubo",
    "tests.support.backends",
    "tests.support.models",
    "tests.support.decoders",
    "tests.support.control_plane",
    "tests.support.operator_process",
    "tests.support.podrunner",
    "tests.support.serve",
    "tests.support.cluster",
    "tests.support.volumes",
    "tests.support.faulty_calls",
    "tests.support.fuzzing",
    "tests.support.process_one",
    "tests.support.contained_pods",
    "tests.support.helm",
    "tests.support.programs",
    "pytester",
]
