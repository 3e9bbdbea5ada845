"""ASKS: what hardware is here, which runs are due, one worker process for each."""
