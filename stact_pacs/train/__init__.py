"""The offline room: synthetic phantoms, training, evaluation and export. The clinical path never enters it."""
