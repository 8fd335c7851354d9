"""Trains the demo generator: rendered portraits in, an exact StyleGAN2 out (see `chunky_core.demo.train`)."""

from ...deprecated import old_modules

__path__.append(old_modules("demo/training"))
