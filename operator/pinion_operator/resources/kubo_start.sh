#!/bin/sh
# Process 1 of the pod's init container: the kernel keeps from process 1 each signal that it does not trap. What configures is
# a process of its own, for a shell looks at its traps only between two commands; it ends with this one.
trap 'exit 143' TERM INT
/bin/sh "${0%/*}/repository.sh" &
wait $!
