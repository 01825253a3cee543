"""How much of a disk the project may take for demo and tests: every number stands here, and their sum is what the README says.

What is transient (control planes that run, Go's caches while the tools are built) and what `make bench` brings come on top.
"""

GIB = 1 << 30

TOTAL = 40 * GIB
# Of the parts of the cache folder, by name.
PARTS = {
    # Images, twice: as layers, and unpacked; and what the builder keeps. The dependencies of the runtime are most of it: 11 GiB
    # as an image, 6 more in the builder, and as much for the packages that were downloaded for them.
    "local": 31 * GIB,
    "uv-cache": 13 * GIB // 2,  # the packages of a tree's environment: 6 GiB
    "tools": 3 * GIB // 2,  # 0.9 GiB for one set of versions
    "go": GIB // 4,  # 12 GiB while the tools are built, and needed no more
    "models": GIB // 4,
    "evidence": GIB // 4,
    "build-logs": GIB // 8,
    "uv": GIB // 8,
}
IMAGES = 25 * GIB  # of "local", as layers and unpacked: two sets of dependencies
BUILDER = 12 * GIB  # of "local", as the builder counts, who counts also the layers that images share with it: one set
