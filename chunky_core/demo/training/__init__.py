"""Trains the demo generator: rendered portraits in, an exact StyleGAN2 out (see `chunky_core.demo.train`)."""
