"""In one place, for a job's code comes to a cluster without being installed there."""

VERSION = "0.1.0"
