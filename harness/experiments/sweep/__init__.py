"""Which arm wins where: a bench session for each cell of a sweep, and the map of them."""
