"""The questions, a folder for each: what is asked, what follows from the records, how it is told."""
