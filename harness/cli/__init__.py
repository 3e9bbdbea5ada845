"""The front door: one file for each verb."""
