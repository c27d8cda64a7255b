"""Torch modules and nothing else: segmentation, encoders and fusion (Sections 2.3 and 2.4 of the STACT-Time paper)."""
