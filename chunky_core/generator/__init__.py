"""StyleGAN2 generators: networks, exact synthesis of a box, latent spaces, files."""
