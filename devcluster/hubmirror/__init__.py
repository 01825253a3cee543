"""A mirror of the hub: serves any local folder as a model repository with a commit, over the hub's own HTTP API.

It needs nothing but aiohttp, and nothing of the package around it, so that it runs alone in an image.
"""
