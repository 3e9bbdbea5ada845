"""MEASURES: runs inside one backend's environment; nothing outside of it imports it.

It imports NumPy, Keras and that backend's framework.
"""
