"""Problems, formats, mixtures and corpora: everything a model is pretrained on."""
