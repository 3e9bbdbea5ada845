"""The float64 referee: what an update must be, what float32 may add, where a fault begins."""
