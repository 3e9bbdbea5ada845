"""What a worker is asked to do, a file for each kind of job."""
