"""Training of Keras CNNs for conversion: ``train_cnn``, the recipe of airbench94 (Jordan 2024, arXiv 2404.00498)."""
