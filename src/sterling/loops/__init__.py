"""A generator fed with its own output: the loop, the signs that warn, the forecast, the real rows it needs."""
