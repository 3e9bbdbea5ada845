"""The questions, a folder for each.

What is asked, what follows from the records, how it is told.
"""
