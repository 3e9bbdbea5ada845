"""Does all of the installed Keras compute the same on every backend?"""
