"""Other tools on the demo generator, at the same photos, masks, steps and losses as ours; no part of this project.

PEERS_PATH names a folder that holds, as their repositories do, any of these, and what isn't there is left out visibly:

    Chunkmogrify            futscdav/Chunkmogrify, the tool of the authors of P1 (tried: efdfdf3)
    stylegan2-ada-pytorch   NVlabs/stylegan2-ada-pytorch, the official projector (d72cc7d)
    PTI                     danielroich/PTI, Pivotal Tuning (da94d59)

Their loops run unchanged. What stands in their way on a machine without CUDA, Qt and their weights is put in its place
at run time, in the process of the benchmark: their generator is built in their own code and takes the demo
generator's weights; their perceptual networks give way to the common loss (`loss.py`); Chunkmogrify's own pull to the
mean code and noise regularization are 0; modules for windows, downloads and logs are empty ones. Their modules have
the same names, so that a process can hold one of the tools.
"""
