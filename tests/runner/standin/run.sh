#!/bin/sh
# Stands in for GitHub's runner program: the same files, users and environment; what it says to the service is the local hub's.
here=$(dirname "$0")
exec python3 "$here/bin/listener.py" "$here"
