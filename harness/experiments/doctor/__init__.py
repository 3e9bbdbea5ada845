"""What does this machine have, and what does each backend see of it?"""
