"""Which backend is fastest, by how much, and how sure is that?"""
