"""What each of several processes does that train one model: all of them at the same time."""
