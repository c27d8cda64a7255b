"""Instances become a series: is it complete, which cines are in it, and which of them may be scored. All pure."""
