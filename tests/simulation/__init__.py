"""The rules of judgement under noise: how often they are wrong, how often they find what is there.
Seconds, no backend.
"""
