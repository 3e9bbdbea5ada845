"""Has an arm become slower, or have its numbers changed?"""
