"""What came of one run of each arm, and which backend do these runs name?"""
