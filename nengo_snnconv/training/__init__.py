"""Training of networks: ``train``, augmentation of images, and ``compare``, which trains SNNs beside a CNN."""
