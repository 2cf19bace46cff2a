"""Side by side with the ways that others do it, in one run on one machine: `make bench`."""
