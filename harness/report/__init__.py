"""SHOWS: tables, pictures, progress; returns what to print, and prints nothing itself."""
